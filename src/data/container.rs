//! Files that hold many pictures, told apart by their first bytes.

use std::io::{BufReader, Read as _};
use std::path::Path;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;

use super::decode::{first_bytes, recognise};
use super::error::few;
use super::folder::has_extension;
use super::watched::Watched;
use super::{DataError, GivenSource, Source, idx, npy, tar, zip};
use crate::platform::{Bytes, Spool};

/// What is wrong with a container that can be read but holds nothing of use.
pub const NO_PICTURE: &str = "holds no picture";

/// First bytes of a gzip file.
const GZIP: &[u8] = &[0x1f, 0x8b];

/// How names of files end that are taken for containers where a folder has no picture files.
pub const CONTAINERS: [&str; 8] = ["tar", "tgz", "tar.gz", "zip", "npy", "npz", "idx", "parquet"];

/// Whether a file called `name` is likely to be a container.
pub fn is_container(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // MNIST's files are called train-images-idx3-ubyte, with or without .gz.
    name.contains("-idx3-ubyte") || CONTAINERS.iter().any(|extension| name.ends_with(&format!(".{extension}")))
}

/// Opens the container at `path`, called `name` in the names of its pictures: a tar archive, plain or compressed by
/// gzip, a zip archive, an IDX file, NumPy's `.npy` or `.npz`, or a Parquet file with a column of pictures.
///
/// What cannot be read at any place as it is (gzip, Parquet) is unpacked into a temporary file first.
///
/// # Errors
/// [`DataError::NoContainer`] where it is none of these, [`DataError::Container`] where it is damaged or holds no
/// picture, [`DataError::Read`] where the system fails to read it, or to keep what it unpacks to.
pub fn open_file(name: &str, path: &Path) -> Result<Arc<dyn Source>, DataError> {
    let unread = |reason: String| DataError::Read { name: path.display().to_string(), reason };
    let bytes = Bytes::open(path).map_err(|error| unread(error.to_string()))?;
    open_container(name, bytes).map_err(|error| match error {
        DataError::Read { reason, .. } => unread(reason),
        other => other,
    })
}

/// The same for a file that is in memory.
///
/// # Errors
/// As [`open_file`].
pub fn open_container(name: &str, bytes: Bytes) -> Result<Arc<dyn Source>, DataError> {
    let head = |bytes: &Watched| {
        bytes.read(0, 512).map_err(|error| DataError::Read { name: name.to_owned(), reason: error.to_string() })
    };
    let mut bytes = Watched::new(bytes);
    let mut first = head(&bytes)?;
    if first.starts_with(GZIP) {
        bytes = Watched::new(gunzip(name, &bytes)?);
        first = head(&bytes)?;
    }
    let opened = by_kind(name, &bytes, &first);
    // Whatever a reader makes of it, what the system could not read is no fault of the file.
    bytes.trouble(name).map_or(opened, Err)
}

/// Opens a container as what its `first` bytes say that it is.
fn by_kind(name: &str, bytes: &Watched, first: &[u8]) -> Result<Arc<dyn Source>, DataError> {
    if tar::is_tar(first) {
        tar::open(name, bytes)
    } else if zip::is_zip(first) {
        zip::open(name, bytes)
    } else if npy::is_npy(first) {
        npy::open(name, bytes)
    } else if first.starts_with(b"PAR1") {
        parquet(name, bytes)
    } else if idx::is_idx(first) {
        idx::open(name, bytes)
    } else {
        let found = first_bytes(first);
        Err(DataError::NoContainer { name: name.to_owned(), found })
    }
}

/// Pictures from files in memory: picture files themselves, by extension or content, and those inside containers.
///
/// What is neither is logged and left out, as is a container that cannot be used.
///
/// # Errors
/// What is wrong with the first file, where none is of use.
pub fn open_given(files: Vec<(String, Vec<u8>)>) -> Result<Arc<dyn Source>, DataError> {
    let (pictures, others): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|(name, bytes)| has_extension(Path::new(name)) || recognise(name, bytes).is_ok());
    let (mut sources, mut trouble): (Vec<Arc<dyn Source>>, Vec<DataError>) = (Vec::new(), Vec::new());
    for (name, bytes) in others {
        match open_container(&name, Bytes::Memory(bytes.into())) {
            Ok(source) => sources.push(source),
            Err(error) => trouble.push(error),
        }
    }
    if !pictures.is_empty() {
        let pictures = GivenSource::new(pictures);
        if sources.is_empty() {
            pictures.check_readable()?;
        }
        sources.insert(0, Arc::new(pictures));
    }
    if sources.is_empty() && !trouble.is_empty() {
        return Err(trouble.remove(0));
    }
    warn_left_out(&trouble);
    Ok(super::joined::join(sources))
}

/// Names what was given and is of no use: at once what has no business there, one by one what holds pictures.
fn warn_left_out(trouble: &[DataError]) {
    let mut others = Vec::new();
    for error in trouble {
        match error {
            DataError::NoContainer { name, .. } => others.push(name.clone()),
            error => log::warn!("left out: {error}"),
        }
    }
    if !others.is_empty() {
        let (count, names) = (others.len(), few(&others, others.len()));
        log::warn!("left out, being neither pictures nor files that hold some: {names} ({count} in all)");
    }
}

#[cfg(feature = "parquet")]
fn parquet(name: &str, bytes: &Watched) -> Result<Arc<dyn Source>, DataError> {
    super::parquet::open(name, bytes)
}

#[cfg(not(feature = "parquet"))]
fn parquet(name: &str, _: &Watched) -> Result<Arc<dyn Source>, DataError> {
    let reason = "this build reads none; the desktop program does".to_owned();
    Err(DataError::Container { name: name.to_owned(), kind: "a Parquet file", reason })
}

fn gunzip(name: &str, bytes: &Watched) -> Result<Bytes, DataError> {
    let not_kept = |error: std::io::Error| DataError::Read { name: name.to_owned(), reason: bytes.not_kept(&error) };
    let mut unpacked = MultiGzDecoder::new(BufReader::with_capacity(1 << 16, bytes.stream(0)));
    let mut spool = Spool::new().map_err(not_kept)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = unpacked.read(&mut buffer);
        if let Some(error) = bytes.trouble(name) {
            return Err(error);
        }
        match read {
            Ok(0) => break,
            Ok(count) => std::io::Write::write_all(&mut spool, &buffer[..count]).map_err(not_kept)?,
            // What came before a tear may hold pictures.
            Err(error) if !spool.is_empty() => {
                log::warn!("{name}: unpacked up to byte {} only: {error}", spool.len());
                break;
            }
            Err(error) => {
                let reason = error.to_string();
                return Err(DataError::Container { name: name.to_owned(), kind: "a gzip file", reason });
            }
        }
    }
    spool.finish().map_err(not_kept)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::data::watched::tests::broken;

    #[test]
    fn what_cannot_be_read_is_no_damage() {
        let mut archive = ::tar::Builder::new(Vec::new());
        for name in ["a.png", "b.png"] {
            let mut header = ::tar::Header::new_gnu();
            header.set_size(2000);
            archive.append_data(&mut header, name, &[7; 2000][..]).expect("appended");
        }
        let whole = archive.into_inner().expect("a tar archive");
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        packed.write_all(&whole).expect("packed");
        let packed = packed.finish().expect("a gzip file");
        for bytes in [whole, packed] {
            let (half, length) = (bytes.len() / 2, bytes.len() as u64);
            // The same bytes as a file that was cut off, and as one of which the rest cannot be had.
            let cut = open_container("x.tar", Bytes::Memory(bytes[..half].to_vec().into())).expect("what is there");
            assert_eq!(cut.len(), 1);
            let error = open_container("x.tar", broken(&bytes[..half], length)).err().expect("unreadable");
            assert!(matches!(&error, DataError::Read { name, .. } if name == "x.tar"), "{error}");
        }
    }
}
