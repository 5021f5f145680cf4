//! From what a user writes to a data set.

use std::sync::Arc;

use super::{DataError, FolderSource, SampleSource, Source};

/// The word that stands for the built-in photographs.
pub const SAMPLE: &str = "sample";

/// Opens a data set: the built-in photographs for [`SAMPLE`], else the folder at that path.
///
/// A folder that is itself called `sample` is reached as `./sample`.
///
/// # Errors
/// Those of [`FolderSource::open`].
pub fn open(spec: &str) -> Result<Arc<dyn Source>, DataError> {
    Ok(match spec {
        SAMPLE => Arc::new(SampleSource),
        folder => Arc::new(FolderSource::open(folder)?),
    })
}
