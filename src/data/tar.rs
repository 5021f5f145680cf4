//! Tar archives, such as the shards of a WebDataset: each picture file in them is a picture.

use std::sync::Arc;

use super::archive::{ArchiveSource, Member, Packing};
use super::folder::has_extension;
use super::{DataError, Source};
use crate::platform::{Bytes, Stream};

/// Where the word `ustar` stands in a header.
const MAGIC: std::ops::Range<usize> = 257..262;

/// Whether `head`, the first block of a file, is the header of a tar archive.
pub fn is_tar(head: &[u8]) -> bool {
    head.get(MAGIC).is_some_and(|magic| magic == b"ustar")
}

/// The picture files in a tar archive called `name`.
///
/// An archive that is cut short gives those before the cut, with a warning.
///
/// # Errors
/// [`DataError::Container`] where there is none.
pub fn open(name: &str, bytes: Arc<Bytes>) -> Result<Arc<dyn Source>, DataError> {
    let fail = |reason: String| DataError::Container { name: name.to_owned(), kind: "a tar archive", reason };
    let mut archive = tar::Archive::new(Stream::new(bytes.clone(), 0));
    let (mut members, mut trouble) = (Vec::new(), None);
    for entry in archive.entries_with_seek().map_err(|error| fail(error.to_string()))? {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                trouble = Some(error.to_string());
                break;
            }
        };
        let Ok(path) = entry.path() else { continue };
        if !entry.header().entry_type().is_file() || !has_extension(&path) {
            continue;
        }
        let (at, size) = (entry.raw_file_position(), entry.size());
        let inner = path.to_string_lossy().replace('\\', "/");
        if at.checked_add(size).is_none_or(|end| end > bytes.size()) {
            trouble = Some(format!("it ends before {inner} does"));
            break;
        }
        let name = format!("{name}/{}", inner.trim_start_matches("./"));
        members.push(Member { name, at, stored: size, size, packing: Packing::Stored });
    }
    match (members.is_empty(), trouble) {
        (true, Some(trouble)) => Err(fail(trouble)),
        (true, None) => Err(fail(super::container::NO_PICTURE.to_owned())),
        (false, trouble) => {
            if let Some(trouble) = trouble {
                log::warn!("{name}: only the first {} pictures can be read: {trouble}", members.len());
            }
            Ok(Arc::new(ArchiveSource::new(bytes, members)))
        }
    }
}
