//! Bytes of a container, which remember whether the system failed.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, OnceLock};

use super::DataError;
use crate::platform::{Bytes, Stream};

/// Bytes that note the first error with which the system answers: who takes a container apart tells a disk that fails as
/// a file that is damaged, or takes it for the file's end.
#[derive(Clone, Debug)]
pub struct Watched {
    bytes: Arc<Bytes>,
    failed: Arc<OnceLock<String>>,
}

impl Watched {
    /// Of `bytes`, with which nothing is wrong yet.
    pub fn new(bytes: Bytes) -> Watched {
        Watched { bytes: Arc::new(bytes), failed: Arc::default() }
    }

    /// The bytes themselves, for who reads pictures one by one.
    pub fn bytes(&self) -> Arc<Bytes> {
        self.bytes.clone()
    }

    /// How many there are.
    pub fn size(&self) -> u64 {
        self.bytes.size()
    }

    /// `count` of them from `at` on; fewer where the file ends before.
    ///
    /// # Errors
    /// The system's.
    pub fn read(&self, at: u64, count: u64) -> io::Result<Vec<u8>> {
        noted(&self.failed, self.bytes.read(at, count))
    }

    /// A reader of them from byte `at` on.
    pub fn stream(&self, at: u64) -> WatchedStream {
        WatchedStream { stream: Stream::new(self.bytes.clone(), at), failed: self.failed.clone() }
    }

    /// Notes that what they unpack to could not be kept; in words.
    pub fn not_kept(&self, error: &io::Error) -> String {
        self.failed.get_or_init(|| format!("unpacking it to temporary storage failed: {error}")).clone()
    }

    /// What the system's first error means for the file called `name`, if there was one.
    pub fn trouble(&self, name: &str) -> Option<DataError> {
        let reason = self.failed.get()?.clone();
        Some(DataError::Read { name: name.to_owned(), reason })
    }
}

/// `result`, whose error is noted in `failed`.
fn noted<T>(failed: &OnceLock<String>, result: io::Result<T>) -> io::Result<T> {
    if let Err(error) = &result {
        // The first one counts.
        let _ = failed.set(error.to_string());
    }
    result
}

/// A reader of [`Watched`] bytes.
#[derive(Debug)]
pub struct WatchedStream {
    stream: Stream<Arc<Bytes>>,
    failed: Arc<OnceLock<String>>,
}

impl Read for WatchedStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        noted(&self.failed, self.stream.read(buffer))
    }
}

impl Seek for WatchedStream {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        // It fails where a damaged file names a place that cannot be: nothing is read.
        self.stream.seek(to)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A file that ends before `length`, as one behind a connection that broke.
    pub fn broken(bytes: &[u8], length: u64) -> Bytes {
        use std::io::Write as _;
        let mut file = tempfile::tempfile().expect("a place");
        file.write_all(bytes).expect("written");
        Bytes::File(file, length)
    }

    #[test]
    fn what_the_system_fails_to_read_is_remembered() {
        let bytes = Watched::new(broken(b"0123456789", 100));
        assert_eq!((bytes.size(), bytes.read(2, 3).expect("read")), (100, b"234".to_vec()));
        let mut stream = bytes.stream(4);
        assert!(stream.seek(SeekFrom::Current(-99)).is_err());
        assert_eq!(bytes.trouble("x"), None);
        assert!(stream.read(&mut [0; 50]).is_err());
        let first = bytes.trouble("x");
        assert!(matches!(&first, Some(DataError::Read { name, .. }) if name == "x"), "{first:?}");
        bytes.not_kept(&io::Error::other("full"));
        assert_eq!(bytes.trouble("x"), first);
    }
}
