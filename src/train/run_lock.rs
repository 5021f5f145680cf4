//! A lock on a run's folder, so that two processes never write the same run.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use super::TrainError;

/// Name of the file that is locked; it holds the id of the process that locked it last, and stays when the run ends,
/// because removing it would let two processes lock two files of that name.
const LOCK: &str = "lock";

/// Bytes that are looked at of a file of that name: an id has fewer.
const LOOKED_AT: u64 = 32;

/// The right to write a run's folder, given back when dropped, and by the system when the process dies.
#[derive(Debug)]
pub(super) struct RunLock {
    /// Only held.
    _file: File,
}

impl RunLock {
    /// Locks the run in `folder`, which exists.
    ///
    /// # Errors
    /// [`TrainError::RunFolder`] where another process, or another run of this one, writes it: with that process's id;
    /// where the folder cannot be written, and where a file of the lock's name is somebody else's.
    pub fn take(folder: &Path) -> Result<RunLock, TrainError> {
        let error = |reason: String| TrainError::RunFolder { path: folder.display().to_string(), reason };
        let open = File::options().read(true).write(true).create(true).truncate(false).open(folder.join(LOCK));
        let mut file = open.map_err(|found| error(format!("{LOCK} cannot be opened: {found}")))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                // Some systems keep a locked file from being read, too.
                let holder = match holder(&file) {
                    Some(Some(id)) => format!("process {id}"),
                    _ => "another process".to_owned(),
                };
                let reason =
                    format!("{holder} writes this run at the moment; wait for its end, or choose another folder");
                return Err(error(reason));
            }
            // Some network file systems have no locks: a run there is as safe as its owner is careful.
            Err(TryLockError::Error(found)) => log::warn!("run folder {} cannot be locked: {found}", folder.display()),
        }
        if holder(&file).is_none() {
            return Err(error(foreign()));
        }
        // The id is for people: on a full disk the lock holds without it.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(RunLock { _file: file })
    }

    /// Fails where a file of the lock's name in `folder` is somebody else's, without making or changing one.
    ///
    /// # Errors
    /// [`TrainError::RunFolder`], naming the file.
    pub fn check(folder: &Path) -> Result<(), TrainError> {
        match File::open(folder.join(LOCK)) {
            Ok(file) if holder(&file).is_none() => {
                Err(TrainError::RunFolder { path: folder.display().to_string(), reason: foreign() })
            }
            // One that cannot be looked at is told of when it is taken.
            _ => Ok(()),
        }
    }
}

/// The process that `file` names, if it names one; nothing where it is no lock at all.
fn holder(file: &File) -> Option<Option<u32>> {
    let mut text = Vec::new();
    match file.take(LOOKED_AT).read_to_end(&mut text) {
        // Zeros are what a power cut may leave of it.
        Ok(_) if text.iter().all(|byte| *byte == 0 || byte.is_ascii_whitespace()) => Some(None),
        Ok(_) => std::str::from_utf8(&text).ok()?.trim().parse().ok().map(Some),
        // As where another process holds it.
        Err(_) => Some(None),
    }
}

fn foreign() -> String {
    format!("holds a file {LOCK} that no run wrote; expected the id of a process: choose another folder")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_once_until_the_lock_is_dropped() {
        let folder = tempfile::tempdir().expect("a folder");
        let lock = RunLock::take(folder.path()).expect("free");
        let error = RunLock::take(folder.path()).expect_err("taken").to_string();
        assert!(error.contains(&folder.path().display().to_string()), "{error}");
        assert!(cfg!(windows) || error.contains(&format!("process {} ", std::process::id())), "{error}");
        drop(lock);
        RunLock::take(folder.path()).expect("free again");
    }

    #[test]
    fn a_file_that_no_run_wrote_is_left_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(LOCK);
        for text in ["{\"version\": 3}", "12 and more", "123456789012345678901234567890123456789"] {
            std::fs::write(&file, text).expect("written");
            for error in [RunLock::check(folder.path()), RunLock::take(folder.path()).map(drop)] {
                assert!(error.expect_err("refused").to_string().contains("holds a file lock"), "{text}");
            }
            assert_eq!(std::fs::read_to_string(&file).expect("read"), text);
        }
        for text in ["", "4711\n"] {
            std::fs::write(&file, text).expect("written");
            RunLock::check(folder.path()).expect("a run's");
            RunLock::take(folder.path()).expect("a run's");
        }
    }
}
