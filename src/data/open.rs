//! From what a user writes to a data set.

use std::path::Path;
use std::sync::Arc;

use super::container::{is_container, open_file};
use super::folder::{has_extension, is_container_file, is_passed_over, list};
use super::joined::join;
use super::list as text_list;
use super::parallel::each;
use super::{DataError, FolderSource, SampleSource, Source, picture_files};
use crate::platform;

/// The word that stands for the built-in photographs.
pub const SAMPLE: &str = "sample";

/// What stands for pictures that were handed over, as to a window or a page, and lie nowhere.
pub const GIVEN: &str = "given pictures";

/// What a user wrote, so that it means the same in any working folder.
pub fn absolute(spec: &str) -> String {
    if [SAMPLE, GIVEN].contains(&spec) {
        return spec.to_owned();
    }
    // What cannot be told in full, or written down, stays as it is.
    std::path::absolute(spec).ok().and_then(|path| path.into_os_string().into_string().ok()).unwrap_or(spec.to_owned())
}

/// Opens a data set: the built-in photographs for [`SAMPLE`], a folder of pictures or of containers, a text file that
/// lists pictures, a picture file, or a container (see [`open_file`]).
///
/// Of a folder with picture files these alone are taken; of one without, the containers in it. Folders whose names begin
/// with a dot, and those that systems keep beside pictures, are passed over. What is itself called `sample` is reached as
/// `./sample`.
///
/// # Errors
/// Those of [`FolderSource::open`] and [`open_file`].
pub fn open(spec: &str) -> Result<Arc<dyn Source>, DataError> {
    let path = Path::new(spec);
    if spec == SAMPLE {
        Ok(Arc::new(SampleSource))
    } else if spec == GIVEN && !path.exists() {
        Err(DataError::Given)
    } else if picture_files::is_picture(spec) {
        Ok(Arc::new(picture_files::open(&[spec.to_owned()])?))
    } else if path.is_file() {
        match text_list::is_list(path) {
            true => Ok(Arc::new(text_list::open(path)?)),
            false => open_file(&path.file_name().unwrap_or_default().to_string_lossy(), path),
        }
    } else {
        match FolderSource::open(path) {
            Err(DataError::NoPictures { path: folder }) => containers(&folder),
            opened => Ok(Arc::new(opened?)),
        }
    }
}

/// Of the paths of a folder's files, which begin with its name, those that [`open`] would take of it: pictures, or where
/// there are none containers.
pub fn choose(paths: Vec<String>) -> Vec<String> {
    let taken = |path: &String| {
        let mut below: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).skip(1).collect();
        below.pop();
        !below.into_iter().any(is_passed_over)
    };
    let (pictures, others): (Vec<_>, Vec<_>) =
        paths.into_iter().filter(taken).partition(|path| has_extension(Path::new(path)));
    if !pictures.is_empty() {
        return pictures;
    }
    others.into_iter().filter(|path| is_container(path)).collect()
}

/// The containers in a folder and those below it, as one data set. One that cannot be used, such as a file of labels,
/// is logged and left out; what the system fails to read is an error, as the set would be another without it.
fn containers(folder: &Path) -> Result<Arc<dyn Source>, DataError> {
    let files = list(folder, is_container_file);
    // On a disk far away it is waiting that takes the time.
    let opened = each(&files, platform::threads(), |file| match open_file(&file.name, &file.path) {
        Err(error @ DataError::Read { .. }) => Err(error),
        opened => Ok(opened),
    })?;
    let (mut sources, mut trouble) = (Vec::new(), None);
    for opened in opened {
        match opened {
            Ok(source) => sources.push(source),
            Err(error) => {
                log::warn!("left out: {error}");
                trouble = trouble.or(Some(error));
            }
        }
    }
    match trouble {
        Some(error) if sources.is_empty() => Err(error),
        None if sources.is_empty() => Err(DataError::NoPictures { path: folder.to_owned() }),
        _ => Ok(join(sources)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_in_full() {
        let here = std::env::current_dir().expect("a folder");
        assert_eq!(Path::new(&absolute("a/b.txt")), here.join("a").join("b.txt"));
        assert_eq!([absolute(SAMPLE), absolute(GIVEN)], [SAMPLE, GIVEN]);
        assert!(matches!(open(GIVEN), Err(DataError::Given)));
        let full = here.display().to_string();
        assert_eq!(absolute(&full), full);
    }

    #[test]
    fn pictures_come_before_containers() {
        let chosen = |paths: &[&str]| choose(paths.iter().map(|path| (*path).to_owned()).collect());
        assert_eq!(chosen(&["a/b.JPG", "a/c.zip", "a/d.txt", "e.webp"]), ["a/b.JPG", "e.webp"]);
        assert_eq!(
            chosen(&["a/c.zip", "a/d.txt", "e/train-images-idx3-ubyte"]),
            ["a/c.zip", "e/train-images-idx3-ubyte"]
        );
        assert!(chosen(&["readme.md", "jpg"]).is_empty());
        let hidden = ["/.a/b.jpg", "/.a/.thumbs/b.jpg", "a/@eaDir/b.jpg/c.jpg", "a/b/__MACOSX/c.jpg", ".d.jpg"];
        assert_eq!(chosen(&hidden), ["/.a/b.jpg", ".d.jpg"]);
    }
}
