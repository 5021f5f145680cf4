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
/// Names are unique, and neither names nor numbers change while the source lives.
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

    /// What picture `index` shows, where the set tells: what it says itself, or the folder in which the picture lies.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    fn label(&self, index: usize) -> Option<&str> {
        folder(self.name(index))
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

/// The innermost folder in the name of a picture; the archive that holds it is none.
pub(super) fn folder(name: &str) -> Option<&str> {
    let (folders, _) = name.rsplit_once('/')?;
    let folder = folders.rsplit('/').next()?;
    (!folder.is_empty() && !is_container(folder)).then_some(folder)
}

#[cfg(test)]
mod tests {
    use super::folder;

    #[test]
    fn the_folder_is_what_a_picture_shows() {
        let folders = [
            ("cat/1.jpg", Some("cat")),
            ("train/cat/1.jpg", Some("cat")),
            ("a.tar/cat/1.jpg", Some("cat")),
            ("1.jpg", None),
            ("/1.jpg", None),
            ("a.tar/1.jpg", None),
            ("shards/a.tar.gz/1.jpg", None),
            ("train-images-idx3-ubyte/07", None),
        ];
        for (name, want) in folders {
            assert_eq!(folder(name), want, "{name}");
        }
    }
}
