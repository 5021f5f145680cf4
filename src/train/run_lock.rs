//! A lock on a run's folder, so that two processes never write the same run.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use super::TrainError;

/// Name of the file that is locked; it holds the id of the process that locked it last, and stays when the run ends,
/// because removing it would let two processes lock two files of that name.
const LOCK: &str = "lock";

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
    /// and where the folder cannot be written.
    pub fn take(folder: &Path) -> Result<RunLock, TrainError> {
        let error = |reason: String| TrainError::RunFolder { path: folder.display().to_string(), reason };
        let open = File::options().read(true).write(true).create(true).truncate(false).open(folder.join(LOCK));
        let mut file = open.map_err(|found| error(found.to_string()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut id = String::new();
                // Some systems keep a locked file from being read, too.
                let holder = match file.read_to_string(&mut id) {
                    Ok(_) if !id.trim().is_empty() => format!("process {}", id.trim()),
                    _ => "another process".to_owned(),
                };
                let reason =
                    format!("{holder} writes this run at the moment; wait for its end, or choose another folder");
                return Err(error(reason));
            }
            // Some network file systems have no locks: a run there is as safe as its owner is careful.
            Err(TryLockError::Error(found)) => log::warn!("run folder {} cannot be locked: {found}", folder.display()),
        }
        // The id is for people: on a full disk the lock holds without it.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(RunLock { _file: file })
    }
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
}
