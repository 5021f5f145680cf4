//! Files that are replaced whole or not at all.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// Ending of files that are not whole yet.
pub const UNFINISHED: &str = ".tmp";

/// A new file beside `path` for its new content, and its name: nobody else has it, whoever writes `path` at the same time.
fn beside(path: &Path) -> io::Result<(PathBuf, File)> {
    static MADE: AtomicU32 = AtomicU32::new(0);
    // In a page there are neither processes nor files.
    let process = if cfg!(target_arch = "wasm32") { 0 } else { process::id() };
    loop {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{process}-{}{UNFINISHED}", MADE.fetch_add(1, Ordering::Relaxed)));
        let beside = path.with_file_name(name);
        match File::create_new(&beside) {
            // Left by a process that had the same number, or one elsewhere has it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|file| (beside, file)),
        }
    }
}

/// Lets `write` write a file beside `path`, which is then synced and given the name: whatever happens at whatever
/// instant, and whoever else does the same, `path` holds all of the old or all of one new content.
///
/// # Errors
/// Those of `write`, and the system's turned into its kind by `io`. What stood at `path` before stays whole.
pub fn replace<E>(
    path: &Path,
    io: impl Fn(io::Error) -> E,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let (beside, made) = beside(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            let reason = format!("the folder {} does not exist", folder_of(path).display());
            io(io::Error::new(error.kind(), reason))
        }
        _ => io(error),
    })?;
    // Libraries that write files of their own may keep them from everyone else. The file is closed here.
    let usual = { made }.metadata().map(|made| made.permissions());
    let written = write(&beside).and_then(|()| {
        if let Ok(usual) = usual {
            // Where that is not possible the owner has the file at least.
            let _ = fs::set_permissions(&beside, usual);
        }
        let synced = sync(&beside).and_then(|()| fs::rename(&beside, path));
        synced.map_err(&io)
    });
    if written.is_err() {
        // The write failed; a leftover beside the real file helps nobody.
        let _ = fs::remove_file(&beside);
        return written;
    }
    sync_folder(path);
    Ok(())
}

/// Makes the file's content outlive a power cut. Windows syncs only what is open for writing.
fn sync(path: &Path) -> io::Result<()> {
    File::options().write(true).open(path)?.sync_all()
}

/// The folder that `path` lies in.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the name of `path` outlive a power cut, where the system can be told to.
fn sync_folder(path: &Path) {
    if cfg!(unix) {
        // The file is whole either way: at worst the old one is found after a power cut.
        let _ = File::open(folder_of(path)).and_then(|folder| folder.sync_all());
    }
}

/// Writes `bytes` as the file `path`, whole or not at all.
///
/// # Errors
/// The system's.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, |error| error, |beside| fs::write(beside, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_writes_the_same_file_at_the_same_time_does_not_spoil_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("features.npy");
        let slow = |beside: &Path| {
            let name = beside.file_name().expect("a name").to_string_lossy();
            assert!(name.starts_with("features.npy.") && name.ends_with(UNFINISHED), "{name}");
            fs::write(beside, "slow")?;
            // Another one begins and ends meanwhile.
            write_whole(&path, b"quick")?;
            assert_eq!(fs::read(&path)?, b"quick");
            assert_eq!(fs::read(beside)?, b"slow");
            Ok(())
        };
        replace(&path, |error| error, slow).expect("written");
        assert_eq!(fs::read(&path).expect("a file"), b"slow");
        let refused = replace(&path, |error| error, |_| Err(io::Error::other("no")));
        assert!(refused.is_err() && fs::read(&path).is_ok_and(|content| content == b"slow"));
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing is left beside it");
    }
}
