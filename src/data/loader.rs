//! Decoding a whole data set at once.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

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
    let next = AtomicUsize::new(0);
    // Each worker takes the next picture that nobody has taken, so that none idles while another
    // is held up by a large one.
    let work = || {
        let mut done = Vec::new();
        loop {
            let position = next.fetch_add(1, Ordering::Relaxed);
            let Some(&index) = indices.get(position) else {
                return done;
            };
            done.push((position, index, source.load(index, limit)));
        }
    };
    let mut results = thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads.min(indices.len()))
            .map_while(|_| thread::Builder::new().spawn_scoped(scope, work).ok())
            .collect();
        let mut results = work();
        for helper in helpers {
            results.extend(helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        results
    });
    results.sort_unstable_by_key(|&(position, ..)| position);
    gather(source, results.into_iter().map(|(_, index, result)| (index, result)))
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
