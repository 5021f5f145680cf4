//! A run that is about to go on: locked and read, and not yet changed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::appended::Appended;
use super::events::EventFile;
use super::metrics::{METRICS, metrics_text};
use super::run_folder::RECIPE;
use super::run_lock::RunLock;
use super::{RunFolder, TrainError};
use crate::platform::{UNFINISHED, write_whole};

/// The folder of a run that nobody else can write meanwhile, and in which nothing has changed yet: whatever else the run
/// takes may still be found wrong.
#[derive(Debug)]
pub struct LockedRun {
    path: PathBuf,
    lock: RunLock,
    step: u64,
    /// Its metrics up to that step.
    kept: String,
}

impl LockedRun {
    /// Locks the run in `path` that stands at `step`.
    ///
    /// # Errors
    /// A folder that another process writes, or that cannot be written; metrics that cannot be read.
    pub(super) fn at(path: &Path, lock: RunLock, step: u64) -> Result<LockedRun, TrainError> {
        let unread = |error| RunFolder::error(path, format!("{METRICS} cannot be read: {error}"));
        // Without a checkpoint all is made again, the line of step 0 too.
        let kept = metrics_text(path, |line| step > 0 && line.step <= step).map_err(unread)?;
        Ok(LockedRun { path: path.to_owned(), lock, step, kept })
    }

    /// Lets the run go on: metrics of steps after the one that it stands at are dropped, as they will be made again.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn open(self) -> Result<RunFolder, TrainError> {
        let LockedRun { path, lock, step, kept } = self;
        let io = |error| RunFolder::error(&path, error);
        // The library that writes safetensors has temporary files of its own.
        let of_checkpoints = |name: &str| name.ends_with(UNFINISHED) || name.starts_with(UNFINISHED);
        let of_run =
            |name: &str| name.ends_with(UNFINISHED) && [RECIPE, METRICS].iter().any(|ours| name.starts_with(ours));
        remove_unfinished(RunFolder::saved(&path)?, of_checkpoints).map_err(io)?;
        remove_unfinished(fs::read_dir(&path).map_err(io)?, of_run).map_err(io)?;
        if let Ok(previews) = fs::read_dir(path.join("previews")) {
            remove_unfinished(previews, |name| name.ends_with(UNFINISHED)).map_err(io)?;
        }
        let file = path.join(METRICS);
        write_whole(&file, kept.as_bytes()).map_err(io)?;
        let metrics = File::options().write(true).open(&file).and_then(Appended::new).map_err(io)?;
        let events = EventFile::create(&path, step).map_err(io)?;
        let went_back = RunFolder::best_step(&path).is_some_and(|best| best > step).then_some(step);
        Ok(RunFolder::opened(path, metrics, events, went_back, lock))
    }
}

/// Removes what a crash left half written in a folder, by its name.
fn remove_unfinished(folder: fs::ReadDir, is_unfinished: impl Fn(&str) -> bool) -> io::Result<()> {
    for entry in folder.flatten() {
        if is_unfinished(&entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
