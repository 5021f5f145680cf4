//! Tar archives, such as the shards of a WebDataset: each picture file in them is a picture, and a file beside it that ends
//! in `.cls` tells its class.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read as _;
use std::sync::Arc;

use super::archive::{ArchiveSource, Member, Packing};
use super::folder::has_extension;
use super::watched::Watched;
use super::{DataError, Source};

/// Where the word `ustar` stands in a header.
const MAGIC: std::ops::Range<usize> = 257..262;

/// Whether `head`, the first block of a file, is the header of a tar archive.
pub fn is_tar(head: &[u8]) -> bool {
    head.get(MAGIC).is_some_and(|magic| magic == b"ustar")
}

/// Bytes of the largest file that is taken for the name of a class.
const MOST_CLASS: u64 = 1 << 10;

/// A member's path up to the first dot of its file's name, which is that of all files of one sample.
fn sample(inner: &str) -> &str {
    let file = inner.rfind('/').map_or(0, |slash| slash + 1);
    inner[file..].find('.').map_or(inner, |dot| &inner[..file + dot])
}

/// The picture files in a tar archive called `name`.
///
/// An archive that is cut short gives those before the cut, with a warning.
///
/// # Errors
/// [`DataError::Container`] where there is none, [`DataError::Read`] where the system fails to read on.
pub fn open(name: &str, bytes: &Watched) -> Result<Arc<dyn Source>, DataError> {
    let fail = |reason: String| DataError::Container { name: name.to_owned(), kind: "a tar archive", reason };
    let mut archive = tar::Archive::new(bytes.stream(0));
    let (mut members, mut trouble) = (Vec::new(), None);
    // Of each member; a class may stand before or behind its picture.
    let (mut samples, mut classes) = (Vec::new(), HashMap::new());
    for entry in archive.entries_with_seek().map_err(|error| fail(error.to_string()))? {
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                trouble = Some(error.to_string());
                break;
            }
        };
        let (at, size) = (entry.raw_file_position(), entry.size());
        let Ok(path) = entry.path().map(Cow::into_owned) else { continue };
        let inner = path.to_string_lossy().replace('\\', "/");
        if !entry.header().entry_type().is_file() {
            continue;
        }
        if !has_extension(&path) {
            let mut class = String::new();
            if inner.ends_with(".cls") && size <= MOST_CLASS && entry.read_to_string(&mut class).is_ok() {
                let class = class.trim();
                if !class.is_empty() {
                    classes.insert(sample(&inner).to_owned(), class.to_owned());
                }
            }
            continue;
        }
        if at.checked_add(size).is_none_or(|end| end > bytes.size()) {
            trouble = Some(format!("it ends before {inner} does"));
            break;
        }
        let name = format!("{name}/{}", inner.trim_start_matches("./"));
        members.push(Member { name, at, stored: size, size, packing: Packing::Stored, label: None });
        samples.push(sample(&inner).to_owned());
    }
    for (member, sample) in members.iter_mut().zip(&samples) {
        member.label = classes.get(sample).cloned();
    }
    if let Some(error) = bytes.trouble(name) {
        return Err(error);
    }
    match (members.is_empty(), trouble) {
        (true, Some(trouble)) => Err(fail(trouble)),
        (true, None) => Err(fail(super::container::NO_PICTURE.to_owned())),
        (false, trouble) => {
            if let Some(trouble) = trouble {
                log::warn!("{name}: only the first {} pictures can be read: {trouble}", members.len());
            }
            Ok(Arc::new(ArchiveSource::new(bytes.bytes(), members)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::sample;

    #[test]
    fn files_of_one_sample_have_one_name() {
        let names = [("a/0001.jpg", "a/0001"), ("a.b/0001.seg.png", "a.b/0001"), ("./7.cls", "./7"), ("x", "x")];
        names.iter().for_each(|(name, want)| assert_eq!(sample(name), *want));
    }
}
