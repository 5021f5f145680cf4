//! Decoding beside the thread that asks, where the platform has decoders of its own: in a page, the browser's.

use std::collections::VecDeque;

use image::ImageFormat;

use super::decode::{check, recognise};
use super::loader::gather;
use super::{DataError, Loaded, Picture, Raw, Source, load_all};
use crate::platform::{Decoders, Decoding};

/// A picture that was asked for.
pub(super) struct Coming {
    index: usize,
    decoding: Option<Decoding>,
}

impl Coming {
    /// Asks `decoders` for picture `index`, if it is of a kind that browsers decode and whole.
    pub(super) fn start(decoders: &Decoders, source: &dyn Source, index: usize, limit: Option<u32>) -> Coming {
        let decoding = match source.read(index) {
            Ok(Raw::Encoded(bytes)) if is_for_browsers(source.name(index), &bytes) => {
                Some(decoders.decode(&bytes, limit))
            }
            _ => None,
        };
        Coming { index, decoding }
    }

    /// Number of the picture in its source.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// The picture. What the browser does not decode the program's own decoder does, or says why not.
    pub(super) async fn picture(self, source: &dyn Source, limit: Option<u32>) -> Result<Picture, DataError> {
        let decoded = match self.decoding {
            Some(decoding) => decoding.picture().await,
            None => None,
        };
        match decoded {
            Some(decoded) => Ok(Picture {
                name: source.name(self.index).to_owned(),
                width: decoded.width,
                height: decoded.height,
                pixels: decoded.pixels,
            }),
            None => source.load(self.index, limit),
        }
    }
}

/// Whether every browser decodes such a file, and would not make up what is missing.
fn is_for_browsers(name: &str, bytes: &[u8]) -> bool {
    let format = recognise(name, bytes).map(|(format, _)| format);
    let whole = match format {
        Ok(ImageFormat::Png) => bytes.windows(4).rev().take(64).any(|kind| kind == b"IEND"),
        Ok(ImageFormat::Jpeg | ImageFormat::WebP | ImageFormat::Bmp | ImageFormat::Gif) => true,
        _ => false,
    };
    whole && check(name, bytes).is_ok()
}

/// [`load_all`] that leaves the caller's thread free where the platform decodes beside it.
///
/// # Panics
/// When an index is not below the source's length.
pub async fn load_all_beside(source: &dyn Source, indices: &[usize], limit: Option<u32>, threads: usize) -> Loaded {
    let Some(decoders) = Decoders::open() else { return load_all(source, indices, limit, threads) };
    let mut asked = indices.iter().map(|index| Coming::start(&decoders, source, *index, limit));
    // One more for each worker to begin with, so that none waits.
    let mut coming: VecDeque<Coming> = asked.by_ref().take(decoders.count() * 2).collect();
    let mut results = Vec::with_capacity(indices.len());
    while let Some(next) = coming.pop_front() {
        let index = next.index;
        results.push((index, next.picture(source, limit).await));
        coming.extend(asked.next());
    }
    gather(source, results)
}
