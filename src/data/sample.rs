//! The photographs that come with the program.

use std::borrow::Cow;

use super::{DataError, Raw, Source};
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

    fn read(&self, index: usize) -> Result<Raw<'_>, DataError> {
        Ok(Raw::Encoded(Cow::Borrowed(platform::assets(FOLDER)[index].1)))
    }
}
