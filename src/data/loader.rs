//! Decoding a whole data set at once.

use std::convert::Infallible;

use super::parallel::each;
use super::{DataError, Picture, Source};

/// What came of decoding many pictures.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// Index in the source and pixels of each picture that decodes, in the order asked.
    pub pictures: Vec<(usize, Picture)>,
    /// Name of each picture that does not, and why, in the order asked.
    pub skipped: Vec<(String, DataError)>,
}

/// Decodes the pictures `indices` of a source, each downscaled where its short side exceeds
/// `limit` pixels, on `threads` threads including the caller's (0 counts as 1).
///
/// A picture that cannot be decoded is logged as a warning and skipped. Where the platform
/// starts no threads, the caller's decodes them all.
///
/// # Panics
/// When an index is not below the source's length.
pub fn load_all(source: &dyn Source, indices: &[usize], limit: Option<u32>, threads: usize) -> Loaded {
    let load = |index: &usize| Ok::<_, Infallible>((*index, source.load(*index, limit)));
    let Ok(results) = each(indices, threads, load);
    gather(source, results)
}

/// Tells pictures from failures, with a warning for each of these.
pub(super) fn gather(
    source: &dyn Source,
    results: impl IntoIterator<Item = (usize, Result<Picture, DataError>)>,
) -> Loaded {
    let mut loaded = Loaded::default();
    for (index, result) in results {
        match result {
            Ok(picture) => loaded.pictures.push((index, picture)),
            Err(error) => {
                log::warn!("skipped: {error}");
                let name = source.name(index).to_owned();
                loaded.skipped.push((name, error));
            }
        }
    }
    loaded
}
