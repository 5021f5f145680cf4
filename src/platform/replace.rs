//! Files that are replaced whole or not at all.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Ending of files that are not whole yet.
pub const UNFINISHED: &str = ".tmp";

/// The name beside `path` under which its new content is written.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(UNFINISHED);
    path.with_file_name(name)
}

/// Lets `write` write a file beside `path`, which is then synced and given the name: whatever happens at whatever
/// instant, `path` holds all of the old or all of the new content.
///
/// # Errors
/// Those of `write`, and the system's turned into its kind by `io`. What stood at `path` before stays whole.
pub fn replace<E>(
    path: &Path,
    io: impl Fn(io::Error) -> E,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let beside = beside(path);
    let made = File::create(&beside).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            let reason = format!("the folder {} does not exist", folder_of(path).display());
            io(io::Error::new(error.kind(), reason))
        }
        _ => io(error),
    })?;
    // Libraries that write files of their own may keep them from everyone else.
    let usual = made.metadata().map(|made| made.permissions());
    drop(made);
    let written = write(&beside).and_then(|()| {
        if let Ok(usual) = usual {
            // Where that is not possible the owner has the file at least.
            let _ = fs::set_permissions(&beside, usual);
        }
        let synced = File::open(&beside).and_then(|file| sync(&file)).and_then(|()| fs::rename(&beside, path));
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

/// Makes the file's content outlive a power cut.
fn sync(file: &File) -> io::Result<()> {
    match file.sync_all() {
        // Windows syncs only what is open for writing; it writes such files out on its own.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && cfg!(windows) => Ok(()),
        result => result,
    }
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
