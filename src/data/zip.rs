//! Zip archives: each picture file in them is a picture, and `.npz` files, which are zip archives of arrays.

use std::path::Path;
use std::sync::Arc;

use super::archive::{ArchiveSource, Member, Packing, unpack};
use super::folder::has_extension;
use super::joined::join;
use super::{DataError, Source, npy};
use crate::platform::{Bytes, Stream};

/// Whether `head` begins a zip archive.
pub fn is_zip(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06")
}

/// The picture files in a zip archive called `name`; where there is none, the arrays of pictures.
///
/// # Errors
/// [`DataError::Container`] where it is damaged or holds neither.
pub fn open(name: &str, bytes: Arc<Bytes>) -> Result<Arc<dyn Source>, DataError> {
    let fail = |reason: String| DataError::Container { name: name.to_owned(), kind: "a zip archive", reason };
    let (pictures, arrays) = list(name, &bytes).map_err(fail)?;
    if !pictures.is_empty() {
        return Ok(Arc::new(ArchiveSource::new(bytes, pictures)));
    }
    let mut sources: Vec<Arc<dyn Source>> = Vec::new();
    let mut trouble = super::container::NO_PICTURE.to_owned();
    for member in arrays {
        let unpacked = unpack(&bytes, &member).map_err(|reason| fail(format!("{}: {reason}", member.name)))?;
        match npy::open(member.name.trim_end_matches(".npy"), Arc::new(Bytes::Memory(unpacked.into()))) {
            Ok(source) => sources.push(source),
            // Labels lie beside pictures.
            Err(error) => trouble = error.to_string(),
        }
    }
    if sources.is_empty() { Err(fail(trouble)) } else { Ok(join(sources)) }
}

/// The picture files and the NumPy arrays.
fn list(name: &str, bytes: &Arc<Bytes>) -> Result<(Vec<Member>, Vec<Member>), String> {
    let stream = std::io::BufReader::new(Stream::new(bytes.clone(), 0));
    let mut archive = zip::ZipArchive::new(stream).map_err(|error| error.to_string())?;
    let (mut pictures, mut arrays) = (Vec::new(), Vec::new());
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|error| error.to_string())?;
        let inner = entry.name().map_err(|error| error.to_string())?.replace('\\', "/");
        let picture = has_extension(Path::new(&inner));
        // Resource forks that macOS puts beside every file bear the names of pictures.
        let wanted = entry.is_file() && (picture || inner.ends_with(".npy")) && !inner.starts_with("__MACOSX/");
        if !wanted {
            continue;
        }
        let packing = match entry.compression() {
            zip::CompressionMethod::Stored => Packing::Stored,
            zip::CompressionMethod::Deflated => Packing::Deflated,
            other => return Err(format!("{inner} is compressed by {other}; expected deflate or none")),
        };
        if entry.encrypted() {
            return Err(format!("{inner} is encrypted"));
        }
        let at = entry.data_start().ok_or_else(|| format!("{inner} has no place in the archive"))?;
        let name = format!("{name}/{inner}");
        let member = Member { name, at, stored: entry.compressed_size(), size: entry.size(), packing, label: None };
        if picture { pictures.push(member) } else { arrays.push(member) }
    }
    Ok((pictures, arrays))
}
