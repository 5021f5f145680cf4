//! What a data set is to the rest of the program.

use std::borrow::Cow;

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
