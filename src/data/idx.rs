//! IDX files, in which MNIST and its kin come: big-endian extents, then bytes.

use std::sync::Arc;

use super::array::{ArraySource, Layout, Number};
use super::watched::Watched;
use super::{DataError, Source};

/// The type byte of unsigned bytes.
const UNSIGNED_BYTES: u8 = 0x08;

/// Whether `head` begins an IDX file of bytes.
pub fn is_idx(head: &[u8]) -> bool {
    matches!(head, [0, 0, UNSIGNED_BYTES, 1..=4, ..])
}

/// The pictures of an IDX file called `name`.
///
/// # Errors
/// [`DataError::Container`] where it holds no pictures, as a file of labels.
pub fn open(name: &str, bytes: &Watched) -> Result<Arc<dyn Source>, DataError> {
    let fail = |reason: String| DataError::Container { name: name.to_owned(), kind: "an IDX file", reason };
    let head = bytes.read(0, 20).map_err(|error| fail(error.to_string()))?;
    let axes = usize::from(head.get(3).copied().unwrap_or(0));
    let extents = head.get(4..4 + 4 * axes).ok_or_else(|| fail("it is shorter than its header".to_owned()))?;
    let shape: Vec<u64> =
        extents.as_chunks::<4>().0.iter().map(|&extent| u64::from(u32::from_be_bytes(extent))).collect();
    let layout = Layout::of(&shape, Number::U8).map_err(fail)?;
    let place = 4 + 4 * axes as u64..bytes.size();
    let source = ArraySource::new(name, bytes.bytes(), place, layout).map_err(fail)?;
    Ok(Arc::new(source))
}
