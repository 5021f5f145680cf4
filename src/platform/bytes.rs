//! Bytes that can be read at any place, on disk or in memory, and a place for those that have to be unpacked first.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

/// Bytes of a file, on disk or in memory. Any number of threads may read them at once.
#[derive(Debug)]
pub enum Bytes {
    /// An open file, and its length.
    File(File, u64),
    /// All of it, which others may hold too.
    Memory(Arc<Vec<u8>>),
}

impl Bytes {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// The system's.
    pub fn open(path: &Path) -> io::Result<Bytes> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Bytes::File(file, length))
    }

    /// How many there are.
    pub fn size(&self) -> u64 {
        match self {
            Bytes::File(_, length) => *length,
            Bytes::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// `count` of them from `at` on; fewer where the file ends before.
    ///
    /// # Errors
    /// The system's.
    pub fn read(&self, at: u64, count: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count.min(self.size().saturating_sub(at)) as usize];
        let filled = self.fill(at, &mut bytes)?;
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// As many of them from `at` on as fit `buffer` or there are; how many.
    fn fill(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (buffer.len() as u64).min(self.size().saturating_sub(at)) as usize;
        match self {
            Bytes::File(file, _) => read_at(file, at, &mut buffer[..count])?,
            // `at` is within the bytes where there is one to copy.
            Bytes::Memory(bytes) if count > 0 => buffer[..count].copy_from_slice(&bytes[at as usize..][..count]),
            Bytes::Memory(_) => {}
        }
        Ok(count)
    }
}

#[cfg(unix)]
fn read_at(file: &File, at: u64, buffer: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, at)
}

#[cfg(windows)]
fn read_at(file: &File, mut at: u64, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                at += count as u64;
                buffer = &mut buffer[count..];
            }
        }
    }
    Ok(())
}

#[cfg(not(any(unix, windows)))]
fn read_at(_: &File, _: u64, _: &mut [u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// [`Bytes`] for readers that want a stream.
#[derive(Clone, Debug)]
pub struct Stream<B> {
    bytes: B,
    at: u64,
}

impl<B: Deref<Target = Bytes>> Stream<B> {
    /// From byte `at` on.
    pub fn new(bytes: B, at: u64) -> Self {
        Stream { bytes, at }
    }
}

impl<B: Deref<Target = Bytes>> Read for Stream<B> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.fill(self.at, buffer)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl<B: Deref<Target = Bytes>> Seek for Stream<B> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.bytes.size().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

/// Most bytes that are unpacked in a page, which has no disk.
#[cfg(target_arch = "wasm32")]
const MOST_IN_MEMORY: usize = 1 << 30;

/// Bytes that are written once and then read at any place: in a file without a name, which goes with the program.
#[derive(Debug)]
pub struct Spool {
    #[cfg(not(target_arch = "wasm32"))]
    file: io::BufWriter<File>,
    #[cfg(target_arch = "wasm32")]
    memory: Vec<u8>,
    length: u64,
}

impl Spool {
    /// An empty one, in `TMPDIR` or where the system wants large temporary files.
    ///
    /// # Errors
    /// The system's.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new() -> io::Result<Spool> {
        // Elsewhere `/tmp` may lie in memory.
        let large = Path::new("/var/tmp");
        let file = match super::variable("TMPDIR").is_none() && large.is_dir() {
            true => tempfile::tempfile_in(large)?,
            false => tempfile::tempfile()?,
        };
        Ok(Spool { file: io::BufWriter::new(file), length: 0 })
    }

    /// An empty one, in memory.
    ///
    /// # Errors
    /// None.
    #[cfg(target_arch = "wasm32")]
    pub fn new() -> io::Result<Spool> {
        Ok(Spool { memory: Vec::new(), length: 0 })
    }

    /// Bytes written so far.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// What was written.
    ///
    /// # Errors
    /// The system's, such as a full disk.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn finish(self) -> io::Result<Bytes> {
        Ok(Bytes::File(self.file.into_inner()?, self.length))
    }

    /// What was written.
    ///
    /// # Errors
    /// None.
    #[cfg(target_arch = "wasm32")]
    pub fn finish(self) -> io::Result<Bytes> {
        Ok(Bytes::Memory(self.memory.into()))
    }
}

impl Write for Spool {
    #[cfg(not(target_arch = "wasm32"))]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.length += count as u64;
        Ok(count)
    }

    #[cfg(target_arch = "wasm32")]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.memory.len() + bytes.len() > MOST_IN_MEMORY {
            return Err(io::Error::other("unpacked it has more than 1 GiB, too much for a page"));
        }
        self.memory.extend_from_slice(bytes);
        self.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        #[cfg(not(target_arch = "wasm32"))]
        self.file.flush()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spooled_can_be_read_anywhere() {
        let mut spool = Spool::new().expect("a place");
        spool.write_all(b"0123456789").expect("written");
        let on_disk = spool.finish().expect("a file");
        for bytes in [on_disk, Bytes::Memory(b"0123456789".to_vec().into())] {
            assert_eq!(bytes.size(), 10);
            assert_eq!(bytes.read(3, 4).expect("read"), b"3456");
            assert_eq!(bytes.read(8, 4).expect("read"), b"89");
            assert_eq!(bytes.read(99, 4).expect("read"), b"");
            let mut stream = Stream::new(&bytes, 2);
            let mut rest = String::new();
            stream.seek(SeekFrom::Current(4)).expect("within");
            stream.read_to_string(&mut rest).expect("read");
            assert_eq!(rest, "6789");
            assert!(stream.seek(SeekFrom::Current(-99)).is_err());
        }
    }
}
