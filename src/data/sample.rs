//! The photographs that come with the program.

use super::{DataError, Picture, Source, decode};

include!(concat!(env!("OUT_DIR"), "/photos.rs"));

/// The built-in photographs, named `CLASS/FILE.jpg` and sorted by name.
///
/// Enough to see a model learn without a data set at hand.
#[derive(Clone, Copy, Debug, Default)]
pub struct SampleSource;

impl Source for SampleSource {
    fn len(&self) -> usize {
        PHOTOS.len()
    }

    fn name(&self, index: usize) -> &str {
        PHOTOS[index].0
    }

    fn load(&self, index: usize, limit: Option<u32>) -> Result<Picture, DataError> {
        let (name, bytes) = PHOTOS[index];
        decode(name, bytes, limit)
    }
}
