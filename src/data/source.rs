//! What a data set is to the rest of the program.

use super::{DataError, Picture};

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

    /// Reads and decodes picture `index`, downscaled where its short side exceeds `limit` pixels.
    ///
    /// # Errors
    /// When its file cannot be read or decoded.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    fn load(&self, index: usize, limit: Option<u32>) -> Result<Picture, DataError>;
}
