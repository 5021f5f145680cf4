//! Files that are there under more than one name, of which one could be trained on and another held out.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// Places of files. As there may be millions, their folders alone are resolved, once each.
#[derive(Debug, Default)]
pub struct Places<'a> {
    /// Numbers of folders by the paths that lead to them.
    folders: HashMap<&'a Path, usize>,
    /// The same numbers by where the folders lie.
    resolved: HashMap<PathBuf, usize>,
    /// Files by folder and name.
    taken: HashSet<(usize, &'a OsStr)>,
}

impl<'a> Places<'a> {
    /// Takes the place of the file at `path`, which should be no link; whether it was free.
    pub fn take(&mut self, path: &'a Path) -> bool {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return true };
        let number = match self.folders.get(folder) {
            Some(number) => *number,
            None => {
                let here = folder.as_os_str().is_empty();
                let place = fs::canonicalize(if here { Path::new(".") } else { folder });
                let next = self.resolved.len();
                let number = *self.resolved.entry(place.unwrap_or_else(|_| folder.to_owned())).or_insert(next);
                self.folders.insert(folder, number);
                number
            }
        };
        self.taken.insert((number, name))
    }
}

/// Leaves out of `files`, those of the set at `path`, each that lies at the `place` of one before it, and says so.
pub fn once<T>(path: &Path, files: &mut Vec<T>, place: impl Fn(&T) -> &Path) {
    let keep: Vec<bool> = {
        let mut places = Places::default();
        files.iter().map(|file| places.take(place(file))).collect()
    };
    let before = files.len();
    let mut keep = keep.into_iter();
    files.retain(|_| keep.next().unwrap_or(true));
    let spare = before - files.len();
    if spare > 0 {
        let set = path.display();
        log::warn!("{set}: left out {spare} of {before} files, as they are there once already");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_taken_once_whatever_the_path() {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir(dir.path().join("in")).expect("a folder");
        let path = |path: &str| dir.path().join(path);
        // No file need be there, nor its folder.
        let paths = ["in/a", "in/b", "./in/../in/a", "a", "in/./b", "no/a", "no/a"].map(path);
        let mut places = Places::default();
        assert_eq!(paths.each_ref().map(|path| places.take(path)), [true, true, false, true, false, true, false]);
        let mut files =
            vec![("x", Path::new("Cargo.toml")), ("y", Path::new("README.md")), ("z", Path::new("./Cargo.toml"))];
        once(Path::new("set"), &mut files, |(_, path)| path);
        assert_eq!(files.iter().map(|(name, _)| *name).collect::<String>(), "xy");
    }
}
