//! What is in a data set: sizes, formats, broken and duplicate pictures, mean and deviation of the pixels.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::decode::{Lost, decode_noting, recognise};
use super::parallel::each;
use super::{DataError, Raw, Source};

/// Short side at which pixels are counted for mean and deviation.
const LIMIT: u32 = 256;

/// Mean and deviation of pixels between 0 and 1, by channel.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PixelStats {
    /// Mean.
    pub mean: [f64; 3],
    /// Standard deviation.
    pub std: [f64; 3],
}

/// What [`census`] found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Census {
    /// Pictures that decode.
    pub readable: usize,
    /// Index and trouble of each that does not.
    pub broken: Vec<(usize, DataError)>,
    /// Pictures by format.
    pub formats: BTreeMap<&'static str, usize>,
    /// Pictures by width and height.
    pub sizes: BTreeMap<[u32; 2], usize>,
    /// Pictures of 16 bits of which few levels are left in 8.
    pub dark: usize,
    /// Files of several pages, of which the first alone is read.
    pub stacks: usize,
    /// Indices of pictures with the same pixels, of those in files of several pages with the same bytes, in groups of two
    /// and more.
    pub duplicates: Vec<Vec<usize>>,
    /// Of all pictures that decode, each of the same weight.
    pub pixels: PixelStats,
}

/// What one picture adds.
struct Entry {
    format: &'static str,
    lost: Lost,
    size: [u32; 2],
    hash: u64,
    mean: [f64; 3],
    square: [f64; 3],
}

fn entry(source: &dyn Source, index: usize) -> Result<Entry, DataError> {
    let raw = source.read(index)?;
    let mut hasher = DefaultHasher::new();
    let (format, (picture, lost)) = match raw {
        Raw::Encoded(bytes) => {
            let (_, format) = recognise(source.distinct_name(index), &bytes)?;
            let decoded = decode_noting(source.distinct_name(index), &bytes, None)?;
            if decoded.1.pages > 1 {
                // Stacks whose first pages agree need not be the same.
                bytes.hash(&mut hasher);
            }
            (format, decoded)
        }
        Raw::Pixels(picture) => ("array", (picture, Lost::default())),
    };
    let size = [picture.width, picture.height];
    (size, &picture.pixels).hash(&mut hasher);
    let small = super::decode::limited_picture(picture, Some(LIMIT));
    let count = (small.pixels.len() / 4).max(1) as f64;
    let (mut mean, mut square) = ([0.0; 3], [0.0; 3]);
    for pixel in small.pixels.as_chunks::<4>().0 {
        for channel in 0..3 {
            let value = f64::from(pixel[channel]) / 255.0;
            mean[channel] += value / count;
            square[channel] += value * value / count;
        }
    }
    Ok(Entry { format, lost, size, hash: hasher.finish(), mean, square })
}

/// Reads and decodes the pictures `indices` of a source, on `threads` threads including the caller's; `progress` is
/// called with the number done.
///
/// # Panics
/// When an index is not below the source's length.
pub fn census(source: &dyn Source, indices: &[usize], threads: usize, progress: impl Fn(usize) + Sync) -> Census {
    let done = AtomicUsize::new(0);
    let look = |index: &usize| {
        let entry = entry(source, *index);
        progress(done.fetch_add(1, Ordering::Relaxed) + 1);
        Ok::<_, Infallible>((*index, entry))
    };
    let Ok(mut entries) = each(indices, threads, look);
    entries.sort_unstable_by_key(|(index, _)| *index);
    sum(entries)
}

fn sum(entries: Vec<(usize, Result<Entry, DataError>)>) -> Census {
    let mut census = Census::default();
    let (mut mean, mut square) = ([0.0; 3], [0.0; 3]);
    let mut same: HashMap<u64, Vec<usize>> = HashMap::new();
    for (index, entry) in entries {
        match entry {
            Ok(entry) => {
                census.readable += 1;
                census.dark += usize::from(entry.lost.dark.is_some());
                census.stacks += usize::from(entry.lost.pages > 1);
                *census.formats.entry(entry.format).or_default() += 1;
                *census.sizes.entry(entry.size).or_default() += 1;
                same.entry(entry.hash).or_default().push(index);
                for channel in 0..3 {
                    mean[channel] += entry.mean[channel];
                    square[channel] += entry.square[channel];
                }
            }
            Err(error) => census.broken.push((index, error)),
        }
    }
    let count = census.readable.max(1) as f64;
    census.pixels.mean = mean.map(|sum| sum / count);
    let variance = |channel: usize| square[channel] / count - census.pixels.mean[channel].powi(2);
    census.pixels.std = [0, 1, 2].map(|channel| variance(channel).max(0.0).sqrt());
    census.duplicates = same.into_values().filter(|indices| indices.len() > 1).collect();
    census.duplicates.sort_unstable();
    census
}
