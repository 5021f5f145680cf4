//! A run that stands still and can go on: one that was stopped, was loaded, or outlived its device.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Train;
use crate::app::history::History;
use crate::app::settings::TrainSettings;
use crate::platform;
use crate::train::{Checkpoint, NO_RUN, Recipe, RunFolder, TrainError, read_metrics};
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

    /// The run in `folder` at its newest checkpoint.
    ///
    /// # Errors
    /// A folder that holds no run, or checkpoints none of which can be read.
    pub fn at(folder: &Path) -> Result<Standing, TrainError> {
        let fail = |reason: String| TrainError::RunFolder { path: folder.display().to_string(), reason };
        if !RunFolder::is_run(folder) {
            return Err(fail(NO_RUN.to_owned()));
        }
        let files = RunFolder::checkpoints(folder).unwrap_or_default();
        let (step, recipe) = match files.iter().find_map(|file| saved(file)) {
            Some(newest) => newest,
            None if files.is_empty() => (0, RunFolder::recipe(folder)?),
            None => return Err(fail(format!("none of its {} checkpoints can be read", files.len()))),
        };
        Ok(Standing { step, recipe, out: Some(folder.to_owned()), snapshot: None })
    }

    /// The run in `folder`, and what it reported up to where it stands.
    ///
    /// # Errors
    /// As [`Standing::at`].
    pub(in crate::app) fn read(folder: &Path) -> Result<(Standing, History), TrainError> {
        let standing = Standing::at(folder)?;
        let mut history = History::of(read_metrics(folder));
        // Steps after the checkpoint will be made again.
        history.rewind(standing.step);
        Ok((standing, history))
    }
}

impl Train {
    /// Takes up a run from a snapshot of it.
    pub fn stand(&mut self, snapshot: Arc<Checkpoint>, settings: &mut TrainSettings) {
        self.history = History::default();
        self.history.last.step = snapshot.step;
        self.stand_by(Standing::of(snapshot, None), settings);
    }

    /// Takes up a run from its folder, with what it reported.
    pub(in crate::app) fn stand_in(&mut self, standing: Standing, history: History, settings: &mut TrainSettings) {
        self.history = history;
        self.stand_by(standing, settings);
    }

    /// Takes up a run in place of any other.
    fn stand_by(&mut self, standing: Standing, settings: &mut TrainSettings) {
        settings.set_recipe(standing.recipe.clone());
        (self.started, self.scrubbed, self.smaller) = (None, None, None);
        self.recipe = Some(standing.recipe.clone());
        self.standing = Some(standing);
    }

    /// The step of what would be lost from sight if another run was taken up, where anything would: a run that stands
    /// with work in it, or the weights of one that has ended.
    pub fn held(&self) -> Option<u64> {
        let stands = self.standing.as_ref().map(|standing| standing.step);
        stands.max(self.weights.as_ref().map(|weights| weights.step)).filter(|step| *step > 0)
    }

    /// The folder that holds all of what stands, so that it can be opened again; none where there is none.
    pub fn held_in(&self) -> Option<&Path> {
        let standing = self.standing.as_ref().filter(|_| self.weights.is_none())?;
        let out = standing.out.as_deref()?;
        let saved = Standing::at(out).ok()?;
        (saved.step >= standing.step).then_some(out)
    }

    /// Writes the copy of the state of what stands into its folder, unless what lies there is as new; the file.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub(in crate::app) fn rescue(&self) -> Result<Option<PathBuf>, TrainError> {
        let Some(Standing { out: Some(out), snapshot: Some(snapshot), .. }) = &self.standing else { return Ok(None) };
        if Standing::at(out).is_ok_and(|saved| saved.step >= snapshot.step) {
            return Ok(None);
        }
        RunFolder::at(out, snapshot.step)?.save(snapshot).map(Some)
    }

    /// Lets go of what stands, so that another run can be taken up; its folder stays.
    pub(in crate::app) fn let_go(&mut self) {
        (self.standing, self.weights, self.recipe, self.started) = (None, None, None, None);
        (self.scrubbed, self.smaller) = (None, None);
        self.history = History::default();
        platform::leave_kept();
    }
}

/// The newest checkpoint of the run in `folder` that can be read.
pub fn newest(folder: &Path) -> Option<PathBuf> {
    RunFolder::checkpoints(folder).ok()?.into_iter().find(|file| saved(file).is_some())
}

/// Step and settings of a checkpoint, by its header alone: whether its numbers are whole is seen when the run goes on.
fn saved(file: &Path) -> Option<(u64, Recipe)> {
    let weights = open_weights(file).ok()?;
    let recipe = Recipe::parse(&file.display().to_string(), weights.text("recipe").ok()?).ok()?;
    Some((weights.text("step").ok()?.parse().ok()?, recipe))
}
