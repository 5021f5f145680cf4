//! Zip archives: each picture file in them is a picture; where there is none, they are archives of arrays.

use std::path::Path;
use std::sync::Arc;

use super::archive::{ArchiveSource, Member, Packing};
use super::error::few;
use super::folder::has_extension;
use super::watched::Watched;
use super::{DataError, Source, npz};

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
        true => npz::pictures(name, bytes, arrays, &mut left_out),
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
