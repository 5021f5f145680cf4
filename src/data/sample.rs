//! The photographs that come with the program.

use super::{DataError, Picture, Source, decode};
use crate::platform;

const FOLDER: &str = "photos/";

/// The built-in photographs, named `CLASS/FILE.jpg` and sorted by name.
///
/// Enough to see a model learn without a data set at hand.
#[derive(Clone, Copy, Debug, Default)]
pub struct SampleSource;

impl Source for SampleSource {
    fn len(&self) -> usize {
        platform::assets(FOLDER).len()
    }

    fn name(&self, index: usize) -> &str {
        &platform::assets(FOLDER)[index].0[FOLDER.len()..]
    }

    fn load(&self, index: usize, limit: Option<u32>) -> Result<Picture, DataError> {
        let (name, bytes) = platform::assets(FOLDER)[index];
        decode(&name[FOLDER.len()..], bytes, limit)
    }
}
