//! Where runs are written.

use std::path::{Path, PathBuf};

use crate::platform::HAS_FOLDERS;
use crate::train::RunFolder;

/// The folder of run folders: `runs` in the working folder, or where nothing can be written there, as for a program that
/// was opened from a menu, in the user's own.
pub fn of_runs() -> PathBuf {
    let here = PathBuf::from("runs");
    if !HAS_FOLDERS {
        return here;
    }
    choose(std::path::absolute(&here).unwrap_or(here), std::env::home_dir())
}

/// `here`, or where nothing can be written there a folder in `home`, where there is one.
fn choose(here: PathBuf, home: Option<PathBuf>) -> PathBuf {
    match home.filter(|home| !home.as_os_str().is_empty()) {
        Some(home) if RunFolder::check_writable(&here).is_err() => home.join("unmask").join("runs"),
        _ => here,
    }
}

/// `folder` in few words: from the working folder or the user's own where it lies in one of them.
pub fn shown(folder: &Path) -> String {
    let below = |above: Option<PathBuf>| {
        let rest = folder.strip_prefix(above?).ok()?;
        (!rest.as_os_str().is_empty()).then(|| rest.to_owned())
    };
    let here = below(std::env::current_dir().ok());
    let home = || Some(Path::new("~").join(below(std::env::home_dir())?));
    here.or_else(home).unwrap_or(folder.to_owned()).display().to_string()
}

/// `NAME-N` in `runs` with the first `N` that is free.
pub fn free_folder(runs: &Path, name: &str) -> PathBuf {
    let folder = |n: u32| runs.join(format!("{name}-{n}"));
    (1..u32::MAX).map(folder).find(|folder| !folder.exists()).unwrap_or_else(|| folder(0))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_can_be_written_is_told_without_a_trace() {
        let folder = tempfile::tempdir().expect("a folder");
        RunFolder::check_writable(folder.path()).expect("writable");
        RunFolder::check_writable(&folder.path().join("not/there/yet")).expect("can be made");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
        let file = folder.path().join("file");
        fs::write(&file, "no folder").expect("written");
        let text = RunFolder::check_writable(&file.join("runs")).expect_err("a file").to_string();
        assert!(text.contains("runs: nothing can be written there"), "{text}");

        let home = || Some(folder.path().to_owned());
        assert_eq!(choose(folder.path().join("runs"), home()), folder.path().join("runs"));
        assert_eq!(choose(file.join("runs"), home()), folder.path().join("unmask").join("runs"));
        assert_eq!(choose(file.join("runs"), None), file.join("runs"));
    }

    #[test]
    fn folders_are_told_from_where_one_is() {
        let here = std::env::current_dir().expect("a folder");
        assert_eq!(shown(&here.join("runs")), "runs");
        assert_eq!(shown(&here), here.display().to_string());
        let away = std::env::temp_dir().join("runs");
        assert_eq!(shown(&away), away.display().to_string());
    }
}
