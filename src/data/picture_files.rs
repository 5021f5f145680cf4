//! Picture files that are named one by one, as shells make of `*.png`.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::decode::recognise;
use super::folder::{has_extension, is_container_file, relative_name};
use super::list::is_list;
use super::places::once;
use super::tar::is_tar;
use super::{DataError, FolderSource, SAMPLE};

/// First bytes that tell every format.
const HEAD: u64 = 512;

/// Whether `spec` is a picture file, by its name, or by its first bytes where its name tells of nothing else.
pub fn is_picture(spec: &str) -> bool {
    let path = Path::new(spec);
    let named_otherwise = || is_list(path) || is_container_file(path);
    spec != SAMPLE && path.is_file() && (has_extension(path) || !named_otherwise() && begins_like_one(path))
}

fn begins_like_one(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head));
    // An archive begins with the name of a member, which may be BM as well as a bitmap does.
    read.is_ok() && recognise("", &head).is_ok() && !is_tar(&head)
}

/// The picture files at `paths`, in their order, each once. They are named from the folder on that holds them all, so
/// that names neither collide nor depend on where that folder lies.
///
/// # Errors
/// Where none of some from everywhere can be decoded: of a single picture what is wrong with it.
pub fn open(paths: &[String]) -> Result<FolderSource, DataError> {
    let mut full: Vec<PathBuf> = paths.iter().map(absolute).collect();
    let folder = common(full.iter().map(|path| path.parent().unwrap_or(path)));
    once(&folder, &mut full, |path| path);
    let files = full.into_iter().map(|path| (relative_name(&folder, &path), path)).collect();
    FolderSource::of_files(&folder, files).map_err(|error| match error {
        DataError::NoReadablePicture { files: 1, first, .. } => *first,
        other => other,
    })
}

/// `path` in full, where the working folder is known.
pub fn absolute(path: impl AsRef<Path>) -> PathBuf {
    std::path::absolute(&path).unwrap_or_else(|_| path.as_ref().to_owned())
}

/// What all `paths` begin with.
pub fn common<'a>(mut paths: impl Iterator<Item = &'a Path>) -> PathBuf {
    let first = paths.next().unwrap_or(Path::new("")).to_owned();
    let both = |common: PathBuf, path: &Path| -> PathBuf {
        let parts = common.components().zip(path.components());
        parts.take_while(|(a, b)| a == b).map(|(part, _)| part).collect()
    };
    paths.fold(first, both)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_paths_begin_with_is_whole_folders() {
        let common = |paths: &[&str]| common(paths.iter().map(Path::new));
        assert_eq!(common(&["/a/bc/d", "/a/bc"]), Path::new("/a/bc"));
        assert_eq!(common(&["/a/bc", "/a/bd", "/a/bc/e"]), Path::new("/a"));
        assert_eq!(common(&["/a", "/b"]), Path::new("/"));
        assert_eq!(common(&[]), Path::new(""));
    }
}
