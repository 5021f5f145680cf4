//! What a data set is to the rest of the program.

use std::borrow::Cow;
use std::path::Path;

use super::container::is_container;
use super::decode::limited_picture;
use super::{DataError, Picture, decode};

/// A picture as its source holds it.
#[derive(Clone, Debug)]
pub enum Raw<'a> {
    /// A file, to be decoded.
    Encoded(Cow<'a, [u8]>),
    /// Pixels, as arrays hold them.
    Pixels(Picture),
}

/// A numbered, named list of pictures that can be decoded one by one, from any thread.
///
/// Names are unique within a set, and neither names nor numbers change while the source lives.
pub trait Source: Send + Sync {
    /// Number of pictures, whether or not each of them decodes.
    fn len(&self) -> usize;

    /// Whether there is no picture at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Name of picture `index`, with `/` between folders.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    fn name(&self, index: usize) -> &str;

    /// The same, with more before it where several sets that make up this one have pictures of the same names.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    fn distinct_name(&self, index: usize) -> &str {
        self.name(index)
    }

    /// What picture `index` shows, where the set itself tells; folders may tell it otherwise, see
    /// [`Labels::of_source`](super::Labels::of_source).
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    fn label(&self, _index: usize) -> Option<&str> {
        None
    }

    /// The folders in which picture `index` lies, from the folder or archive on that was given, with `/` between them.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    fn folders(&self, index: usize) -> &str {
        folders(self.name(index))
    }

    /// Where picture `index` lies, if it is a file of its own: behind a link, where the set knows of one.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    fn place(&self, _index: usize) -> Option<&Path> {
        None
    }

    /// Reads picture `index`, not yet decoded.
    ///
    /// # Errors
    /// When its file cannot be read.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    fn read(&self, index: usize) -> Result<Raw<'_>, DataError>;

    /// Reads and decodes picture `index`, downscaled where its short side exceeds `limit` pixels.
    ///
    /// # Errors
    /// When its file cannot be read or decoded.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    fn load(&self, index: usize, limit: Option<u32>) -> Result<Picture, DataError> {
        match self.read(index)? {
            Raw::Encoded(bytes) => decode(self.name(index), &bytes, limit),
            Raw::Pixels(picture) => Ok(limited_picture(picture, limit)),
        }
    }
}

/// The folders in the name of a picture; where an archive holds it, those inside.
fn folders(name: &str) -> &str {
    let folders = name.rsplit_once('/').map_or("", |(folders, _)| folders);
    let (mut start, mut end) = (0, 0);
    for folder in folders.split('/') {
        end += folder.len();
        if is_container(folder) {
            start = (end + 1).min(folders.len());
        }
        end += 1;
    }
    &folders[start..]
}

#[cfg(test)]
mod tests {
    use super::folders;

    #[test]
    fn folders_are_those_below_what_was_given() {
        let names = [
            ("cat/1.jpg", "cat"),
            ("train/cat/1.jpg", "train/cat"),
            ("a.tar/cat/1.jpg", "cat"),
            ("1.jpg", ""),
            ("/1.jpg", ""),
            ("a.tar/1.jpg", ""),
            ("shards/a.tar.gz/b/c/1.jpg", "b/c"),
            ("train-images-idx3-ubyte/07", ""),
        ];
        for (name, want) in names {
            assert_eq!(folders(name), want, "{name}");
        }
    }
}
