//! A run that stands still and can go on: one that was stopped, was loaded, or outlived its device.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::history::History;
use crate::train::{Checkpoint, Recipe, TrainError, read_metrics};

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

    /// The run in `folder`, with its curves.
    ///
    /// # Errors
    /// A folder that holds no run.
    pub fn in_folder(folder: &Path) -> Result<(Standing, History), TrainError> {
        let fail = |reason: String| TrainError::RunFolder { path: folder.display().to_string(), reason };
        let file = folder.join("recipe.toml");
        if !file.exists() {
            return Err(fail("holds no run (recipe.toml is missing)".to_owned()));
        }
        let text = std::fs::read_to_string(&file).map_err(|error| fail(error.to_string()))?;
        let recipe = Recipe::parse(&file.display().to_string(), &text)?;
        let history = History::of(read_metrics(folder));
        Ok((Standing { step: history.last.step, recipe, out: Some(folder.to_owned()), snapshot: None }, history))
    }
}

/// `NAME-N` in `runs` with the first `N` that is free.
pub fn free_folder(runs: &Path, name: &str) -> PathBuf {
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let folder = |n: u32| runs.join(format!("{name}-{n}"));
    (1..u32::MAX).map(folder).find(|folder| !folder.exists()).unwrap_or_else(|| folder(0))
}
