//! Files that grow by whole pieces.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};

/// A file that is added to. What cannot be written, as on a full disk, waits, and is written with what comes next.
#[derive(Debug)]
pub struct Appended {
    file: File,
    /// Bytes that are written.
    length: u64,
    waiting: Vec<u8>,
}

impl Appended {
    /// Adds to the end of `file`.
    ///
    /// # Errors
    /// The system's.
    pub fn new(mut file: File) -> io::Result<Appended> {
        let length = file.seek(SeekFrom::End(0))?;
        Ok(Appended { file, length, waiting: Vec::new() })
    }

    /// Adds `piece`, in one go with all that waits, so that a kill leaves whole pieces.
    ///
    /// # Errors
    /// The system's; the piece waits then.
    pub fn push(&mut self, piece: &[u8]) -> io::Result<()> {
        self.waiting.extend(piece);
        if let Err(error) = self.file.write_all(&self.waiting) {
            // What went onto a disk before it was full would be half a piece.
            let _ = self.file.set_len(self.length).and_then(|()| self.file.seek(SeekFrom::Start(self.length)));
            return Err(error);
        }
        self.length += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_written_is_written_later() {
        let path = tempfile::NamedTempFile::new().expect("a file").into_temp_path();
        std::fs::write(&path, "a").expect("written");
        let closed = File::open(&path).expect("opened to be read");
        let mut file = Appended::new(closed).expect("a file");
        assert!(file.push(b"b").is_err() && file.push(b"c").is_err());
        file.file = File::options().write(true).open(&path).expect("opened");
        file.file.seek(SeekFrom::End(0)).expect("the end");
        file.push(b"d").expect("written");
        file.push(b"e").expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "abcde");
    }
}
