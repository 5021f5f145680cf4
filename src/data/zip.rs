//! Zip archives: each picture file in them is a picture, and `.npz` files, which are zip archives of arrays.

use std::path::Path;
use std::sync::Arc;

use super::archive::{ArchiveSource, Member, Packing, unpack};
use super::error::few;
use super::folder::has_extension;
use super::joined::join;
use super::npy::Array;
use super::watched::Watched;
use super::{DataError, Source};
use crate::platform::Bytes;

/// Whether `head` begins a zip archive.
pub fn is_zip(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06")
}

/// The picture files in a zip archive called `name`; where there is none, the arrays of pictures. What cannot be used of
/// it is left out, with a warning.
///
/// # Errors
/// [`DataError::Container`] where it is damaged or holds neither.
pub fn open(name: &str, bytes: &Watched) -> Result<Arc<dyn Source>, DataError> {
    let fail = |reason: String| DataError::Container { name: name.to_owned(), kind: "a zip archive", reason };
    let Listed { pictures, arrays, mut left_out } = list(name, bytes).map_err(fail)?;
    let source: Option<Arc<dyn Source>> = match pictures.is_empty() {
        true => {
            let arrays = arrays_of(bytes, arrays, &mut left_out);
            joined(name, arrays, &mut left_out)
        }
        false => Some(Arc::new(ArchiveSource::new(bytes.bytes(), pictures))),
    };
    let Some(source) = source else {
        let first = left_out.into_iter().next();
        return Err(fail(first.unwrap_or_else(|| super::container::NO_PICTURE.to_owned())));
    };
    if !left_out.is_empty() {
        log::warn!("{name}: left out of it: {}", few(&left_out, left_out.len()));
    }
    Ok(source)
}

/// What there is in an archive.
#[derive(Debug, Default)]
struct Listed {
    pictures: Vec<Member>,
    /// NumPy's.
    arrays: Vec<Member>,
    /// What is neither, though its name says so, and why.
    left_out: Vec<String>,
}

/// The picture files and the NumPy arrays.
fn list(name: &str, bytes: &Watched) -> Result<Listed, String> {
    let stream = std::io::BufReader::new(bytes.stream(0));
    let mut archive = zip::ZipArchive::new(stream).map_err(|error| error.to_string())?;
    let mut listed = Listed::default();
    for index in 0..archive.len() {
        let entry = match archive.by_index_raw(index) {
            Ok(entry) => entry,
            Err(error) => {
                listed.left_out.push(format!("member {index}: {error}"));
                continue;
            }
        };
        let (inner, unnamed) = match entry.name() {
            Ok(inner) => (inner.replace('\\', "/"), None),
            // As far as it can be read.
            Err(error) => (String::from_utf8_lossy(entry.name_raw()).into_owned(), Some(error)),
        };
        let picture = has_extension(Path::new(&inner));
        // Resource forks that macOS puts beside every file bear the names of pictures.
        let wanted = entry.is_file() && (picture || inner.ends_with(".npy")) && !inner.starts_with("__MACOSX/");
        if !wanted {
            continue;
        }
        let packing = match entry.compression() {
            zip::CompressionMethod::Stored => Ok(Packing::Stored),
            zip::CompressionMethod::Deflated => Ok(Packing::Deflated),
            other => Err(format!("compressed by {other}, expected deflate or none")),
        };
        let place = packing.and_then(|packing| match (unnamed, entry.encrypted(), entry.data_start()) {
            (Some(error), ..) => Err(error.to_string()),
            (None, true, _) => Err("encrypted".to_owned()),
            (None, false, None) => Err("has no place in the archive".to_owned()),
            (None, false, Some(at)) => Ok((packing, at)),
        });
        match place {
            Ok((packing, at)) => {
                let (name, stored, size) = (format!("{name}/{inner}"), entry.compressed_size(), entry.size());
                let member = Member { name, at, stored, size, packing, label: None };
                if picture { listed.pictures.push(member) } else { listed.arrays.push(member) }
            }
            Err(reason) => listed.left_out.push(format!("{inner} ({reason})")),
        }
    }
    Ok(listed)
}

/// The arrays among `members`, with their names, of which there may be pictures; those that are none go to `left_out`.
fn arrays_of(bytes: &Watched, members: Vec<Member>, left_out: &mut Vec<String>) -> Vec<(String, Array)> {
    let mut arrays = Vec::new();
    for member in members {
        let name = member.name.trim_end_matches(".npy").to_owned();
        match array(bytes, &member) {
            Ok(array) => arrays.push((name, array)),
            Err(reason) => left_out.push(format!("{name} ({reason})")),
        }
    }
    let counts: Vec<u64> = arrays.iter().filter(|(_, a)| a.shape.len() > 2).filter_map(|(_, a)| a.count()).collect();
    arrays.retain(|(name, array)| {
        let labels = is_labels(&array.shape, &counts);
        if labels {
            left_out.push(format!("{name} (an array of shape {:?}, taken for labels)", array.shape));
        }
        !labels
    });
    arrays
}

/// Whether an array of this shape tells of pictures instead of being one, beside others with these `counts` of them: its
/// one row, or column, or a row a picture.
fn is_labels(shape: &[u64], counts: &[u64]) -> bool {
    matches!(shape, [rows, columns] if *rows == 1 || *columns == 1 || counts.contains(rows))
}

/// The array in `member`, which stays where it lies unless it is packed.
fn array(bytes: &Watched, member: &Member) -> Result<Array, String> {
    match member.packing {
        Packing::Stored if member.stored == member.size => {
            let end = member.at.checked_add(member.size).ok_or("has no place in the archive")?;
            Array::read(bytes, member.at..end)
        }
        _ => {
            let unpacked = Watched::new(Bytes::Memory(unpack(member, |at, count| bytes.read(at, count))?.into()));
            Array::read(&unpacked, 0..unpacked.size())
        }
    }
}

/// The pictures of all `arrays` of the archive called `name`, if there are any.
fn joined(name: &str, arrays: Vec<(String, Array)>, left_out: &mut Vec<String>) -> Option<Arc<dyn Source>> {
    let (mut sources, mut names): (Vec<Arc<dyn Source>>, Vec<String>) = (Vec::new(), Vec::new());
    for (array_name, array) in arrays {
        // Labels and the like, of which nobody wants to be told.
        let told = array.shape.len() > 1;
        match array.pictures(&array_name) {
            Ok(source) => {
                sources.push(Arc::new(source));
                names.push(array_name);
            }
            Err(reason) if told => left_out.push(format!("{array_name} ({reason})")),
            Err(_) => {}
        }
    }
    if names.len() > 1 {
        log::warn!("{name}: several arrays of pictures are taken as one set: {}", few(&names, names.len()));
    }
    if sources.is_empty() { None } else { Some(join(sources)) }
}

#[cfg(test)]
mod tests {
    use super::is_labels;

    #[test]
    fn what_tells_of_pictures_is_none() {
        for shape in [&[50_000, 1][..], &[1, 7], &[60_000, 10], &[60_000, 28]] {
            assert!(is_labels(shape, &[10, 60_000]), "{shape:?}");
        }
        for shape in [&[28, 28][..], &[60_000, 28, 28], &[60_000, 1, 1]] {
            assert!(!is_labels(shape, &[60_000]), "{shape:?}");
        }
    }
}
