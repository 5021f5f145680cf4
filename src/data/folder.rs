//! A folder of pictures.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::archive::unique;
use super::container::is_container;
use super::error::few;
use super::places::once;
use super::{DataError, PassedOver, Raw, Source};

/// Extensions of the files that a [`FolderSource`] takes, in lower or upper case.
pub const EXTENSIONS: [&str; 8] = ["jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff"];

/// The most bytes a picture file may have: more than any picture of
/// [`MAX_PIXELS`](super::MAX_PIXELS) needs.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

/// Files of a folder that are tried before it is given up.
const MOST_TRIED: usize = 64;

/// A file of a set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its name in the set.
    pub name: String,
    /// Its path, which may be a link.
    pub path: PathBuf,
    /// Where such a link leads.
    target: Option<PathBuf>,
}

impl Entry {
    /// Where the file lies.
    fn place(&self) -> &Path {
        self.target.as_ref().unwrap_or(&self.path)
    }
}

/// The picture files in a folder and all folders below it, sorted by relative path.
///
/// A picture's name is its path relative to the folder, with `/` between folders on every
/// platform, so that names, and what is drawn from them, do not depend on where the folder lies.
#[derive(Clone, Debug)]
pub struct FolderSource {
    files: Vec<Entry>,
    /// What each picture shows, where a list says so; folders say it otherwise.
    labels: Vec<Option<String>>,
}

impl FolderSource {
    /// Where its files lie, in order.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    /// Lists the picture files under `dir` and checks that at least one of them decodes.
    ///
    /// Symbolic links are followed, but not in circles; a file to which several paths lead is taken
    /// by the first of them. What cannot be listed (a broken link, a closed folder) is logged and
    /// left out. Of a folder that holds containers too a warning says that they are not used, as does one where there are
    /// more other files than pictures.
    ///
    /// # Errors
    /// When `dir` does not exist, is not a folder or cannot be listed, has no file with one of
    /// the [`EXTENSIONS`], or none that decodes among some from everywhere in it.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, DataError> {
        let dir = dir.as_ref();
        check_folder(dir)?;
        let mut passed_over = PassedOver::default();
        let files = list(dir, |path| {
            let wanted = has_extension(path) || is_container_file(path);
            if !wanted {
                passed_over.add(path);
            }
            wanted
        });
        let (pictures, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| has_extension(&file.path));
        if !pictures.is_empty() && !others.is_empty() {
            let (count, names) = (others.len(), others.into_iter().map(|file| file.name).collect::<Vec<_>>());
            let (dir, names) = (dir.display(), few(&names, count));
            log::warn!("{dir}: {names} not used: a folder that holds pictures is read for them alone");
        }
        let others = passed_over.without_companions();
        if others.count() > pictures.len() && !pictures.is_empty() {
            log::warn!("{}: {others}, more than the {} picture files", dir.display(), pictures.len());
        }
        Self::of_entries(dir, pictures)
    }

    /// The files `files`, a name and a path each, of the folder or list at `path`.
    ///
    /// # Errors
    /// When there is none, or none that decodes among some from everywhere.
    pub fn of_files(path: &Path, files: Vec<(String, PathBuf)>) -> Result<Self, DataError> {
        Self::of_entries(path, files.into_iter().map(|(name, path)| Entry { name, path, target: None }).collect())
    }

    fn of_entries(path: &Path, mut files: Vec<Entry>) -> Result<Self, DataError> {
        unique(files.iter_mut().map(|file| &mut file.name));
        let source = Self { files, labels: Vec::new() };
        source.check_readable(path)?;
        Ok(source)
    }

    /// The same pictures, of which `labels` tells what each shows.
    pub(super) fn labelled(self, labels: Vec<Option<String>>) -> Self {
        Self { labels, ..self }
    }

    /// Fails unless at least one of some pictures from everywhere decodes. Stops at the first that does.
    fn check_readable(&self, dir: &Path) -> Result<(), DataError> {
        let (files, tried, mut first) = (self.len(), self.len().min(MOST_TRIED), None);
        for place in 0..tried {
            match self.load(place * files / tried, Some(1)) {
                Ok(_) => return Ok(()),
                Err(error) => first = first.or(Some(error)),
            }
        }
        let path = dir.to_owned();
        Err(match first {
            None => DataError::NoPictures { path },
            Some(first) => DataError::NoReadablePicture { path, files, tried, first: Box::new(first) },
        })
    }
}

impl Source for FolderSource {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn name(&self, index: usize) -> &str {
        &self.files[index].name
    }

    fn label(&self, index: usize) -> Option<&str> {
        self.labels.get(index).and_then(Option::as_deref)
    }

    fn place(&self, index: usize) -> Option<&Path> {
        Some(self.files[index].place())
    }

    fn read(&self, index: usize) -> Result<Raw<'_>, DataError> {
        let Entry { name, path, .. } = &self.files[index];
        let bytes = read(path).map_err(|error| DataError::Read { name: name.clone(), reason: error.to_string() })?;
        Ok(Raw::Encoded(Cow::Owned(bytes)))
    }
}

/// Fails unless `dir` is a folder that can be listed.
fn check_folder(dir: &Path) -> Result<(), DataError> {
    let path = dir.to_owned();
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => DataError::NoSuchFolder { path: path.clone() },
        io::ErrorKind::NotADirectory => DataError::NotAFolder { path: path.clone() },
        _ => DataError::Read { name: dir.display().to_string(), reason: error.to_string() },
    };
    if !fs::metadata(dir).map_err(unreadable)?.is_dir() {
        return Err(DataError::NotAFolder { path: path.clone() });
    }
    fs::read_dir(dir).map_err(unreadable)?;
    Ok(())
}

/// Whether a folder was made by a training run: what lies in there are pictures that were made of others.
fn is_run(folder: &Path) -> bool {
    folder.join("recipe.toml").is_file() && folder.join("checkpoints").is_dir()
}

/// Folders of a run in which pictures lie that were made of others.
const MADE: [&str; 2] = ["previews", "reconstructions"];

/// Whether a folder called `name` below one that was asked for is none of the user's making: what is hidden, and what
/// Synology's and Apple's systems keep beside pictures, by the names of these.
pub fn is_passed_over(name: &str) -> bool {
    name.starts_with('.') || ["@eaDir", "__MACOSX"].contains(&name)
}

/// Each wanted file under `dir`, once, by its relative name; sorted by it. Runs below it are passed over, what one wrote
/// where `dir` is itself a run's, and folders that [`is_passed_over`] tells.
pub fn list(dir: &Path, mut wanted: impl FnMut(&Path) -> bool) -> Vec<Entry> {
    let (mut files, mut linked, of_run) = (Vec::new(), false, is_run(dir));
    let entered = |entry: &DirEntry| {
        if entry.depth() == 0 || !entry.file_type().is_dir() {
            return true;
        }
        let name = entry.file_name().to_string_lossy();
        let why = match is_passed_over(&name) {
            true => "what is hidden or a system's",
            false if of_run && entry.depth() == 1 && MADE.contains(&&*name) => "what the run wrote",
            false if is_run(entry.path()) => "the run",
            false => return true,
        };
        log::info!("left out of {}: {why} in {}", dir.display(), entry.path().display());
        false
    };
    for entry in WalkDir::new(dir).follow_links(true).into_iter().filter_entry(entered) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                log::warn!("left out of {}: {error}", dir.display());
                continue;
            }
        };
        // A link that is `dir` itself leads to nothing twice.
        let link = entry.path_is_symlink() && entry.depth() > 0;
        linked |= link;
        if entry.file_type().is_file() && wanted(entry.path()) {
            let path = entry.into_path();
            let target = if link { fs::canonicalize(&path).ok() } else { None };
            files.push(Entry { name: relative_name(dir, &path), path, target });
        }
    }
    files.sort();
    if linked {
        once(dir, &mut files, Entry::place);
    }
    files
}

/// Whether a file is what macOS keeps beside another, for what other systems have no place for.
fn is_beside(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"._"))
}

/// Whether the file at `path` is likely to be a container, by its name.
pub fn is_container_file(path: &Path) -> bool {
    !is_beside(path) && path.file_name().is_some_and(|name| is_container(&name.to_string_lossy()))
}

/// Whether the name of a file is that of a picture.
pub fn has_extension(path: &Path) -> bool {
    if is_beside(path) {
        return false;
    }
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|found| EXTENSIONS.iter().any(|e| e.eq_ignore_ascii_case(found)))
}

/// The name of the file at `path`, from the folder `dir` on.
pub fn relative_name(dir: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(dir).unwrap_or(path);
    let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

/// Reads a whole file, unless it has more than [`MAX_FILE_BYTES`].
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    if length > MAX_FILE_BYTES {
        let message = format!("{length} bytes, expected at most {MAX_FILE_BYTES}");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    let mut bytes = Vec::with_capacity(length as usize);
    // The file may grow while it is read.
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_macos_keeps_beside_pictures_is_none() {
        assert!(has_extension(Path::new("a/x.JPG")) && has_extension(Path::new("._a/x.jpg")));
        assert!(!has_extension(Path::new("a/._x.jpg")) && !has_extension(Path::new("a/x.txt")));
    }

    #[test]
    fn what_a_run_wrote_is_not_trained_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str| {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().expect("a folder")).expect("made");
            fs::write(file, "").expect("written");
        };
        for name in ["a.png", "runs/x/previews/step-5.png", "runs/x/checkpoints/step-5.safetensors", "runs/b.png"] {
            write(name);
        }
        let names = |dir: &Path| list(dir, has_extension).into_iter().map(|entry| entry.name).collect::<Vec<_>>();
        assert_eq!(names(folder.path()), ["a.png", "runs/b.png", "runs/x/previews/step-5.png"], "no run yet");
        write("runs/x/recipe.toml");
        assert_eq!(names(folder.path()), ["a.png", "runs/b.png"]);
        // A run may lie among the pictures that it was trained on.
        write("runs/x/cat/previews/c.png");
        write("runs/x/reconstructions/c.png");
        assert_eq!(names(&folder.path().join("runs/x")), ["cat/previews/c.png"]);
        assert_eq!(names(&folder.path().join("runs/x/previews")), ["step-5.png"], "asked for by its name");
    }
}
