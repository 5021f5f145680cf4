//! A run that stands still and can go on: one that was stopped, was loaded, or outlived its device.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::history::History;
use crate::train::{Checkpoint, Recipe, TrainError, read_metrics};
use crate::weights::open_weights;

/// Where a run stands.
#[derive(Clone)]
pub struct Standing {
    /// Steps done.
    pub step: u64,
    /// Its settings.
    pub recipe: Recipe,
    /// Its folder.
    pub out: Option<PathBuf>,
    /// Its state in main memory; without one the folder's newest checkpoint serves.
    pub snapshot: Option<Arc<Checkpoint>>,
}

impl Standing {
    /// A run as `snapshot` holds it.
    pub fn of(snapshot: Arc<Checkpoint>, out: Option<PathBuf>) -> Standing {
        Standing { step: snapshot.step, recipe: snapshot.recipe.clone(), out, snapshot: Some(snapshot) }
    }

    /// The run in `folder` at its newest checkpoint, with its curves up to there.
    ///
    /// # Errors
    /// A folder that holds no run, or checkpoints none of which can be read.
    pub fn in_folder(folder: &Path) -> Result<(Standing, History), TrainError> {
        let fail = |reason: String| TrainError::RunFolder { path: folder.display().to_string(), reason };
        let file = folder.join("recipe.toml");
        if !file.exists() {
            return Err(fail("holds no run (recipe.toml is missing)".to_owned()));
        }
        let files = checkpoints(folder);
        let (step, recipe) = match files.iter().find_map(|file| saved(file)) {
            Some(newest) => newest,
            None if files.is_empty() => {
                let text = std::fs::read_to_string(&file).map_err(|error| fail(error.to_string()))?;
                (0, Recipe::parse(&file.display().to_string(), &text)?)
            }
            None => return Err(fail(format!("none of its {} checkpoints can be read", files.len()))),
        };
        let mut history = History::of(read_metrics(folder));
        // Steps after the checkpoint will be made again.
        history.rewind(step);
        Ok((Standing { step, recipe, out: Some(folder.to_owned()), snapshot: None }, history))
    }
}

/// Files of the checkpoints of the run in `folder`, the newest first.
fn checkpoints(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.join("checkpoints")).into_iter().flatten().flatten();
    let step = |name: &str| name.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse::<u64>().ok();
    let mut files: Vec<(u64, PathBuf)> =
        entries.filter_map(|entry| Some((step(entry.file_name().to_str()?)?, entry.path()))).collect();
    files.sort_unstable();
    files.into_iter().rev().map(|(_, file)| file).collect()
}

/// The newest checkpoint of the run in `folder` that can be read.
pub fn newest(folder: &Path) -> Option<PathBuf> {
    checkpoints(folder).into_iter().find(|file| saved(file).is_some())
}

/// Step and settings of a checkpoint, by its header alone: whether its numbers are whole is seen when the run goes on.
fn saved(file: &Path) -> Option<(u64, Recipe)> {
    let weights = open_weights(file).ok()?;
    let recipe = Recipe::parse(&file.display().to_string(), weights.text("recipe").ok()?).ok()?;
    Some((weights.text("step").ok()?.parse().ok()?, recipe))
}
