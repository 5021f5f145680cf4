//! A run's folder: recipe, metrics, checkpoints and previews.

use std::fs::{self, File};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::appended::Appended;
use super::events::EventFile;
use super::locked_run::LockedRun;
use super::metrics::{METRICS, comparable, metrics_lines};
use super::run_lock::RunLock;
use super::{Checkpoint, MetricsLine, Recipe, TrainError};
use crate::platform::write_whole;
use crate::weights::open_weights;

/// Name of the file of settings.
pub(super) const RECIPE: &str = "recipe.toml";
/// What there is to say of a folder without one.
pub const NO_RUN: &str = "holds no run (recipe.toml is missing)";
/// Name of the file of weights with the smallest held-out loss.
const BEST: &str = "best.safetensors";

/// The folder of one run, which nobody else can write meanwhile.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    metrics: Appended,
    events: EventFile,
    /// Step and value of the smallest held-out loss of a trained model at the run's mask ratio.
    best: Option<(u64, f64)>,
    /// Step that it went on from, where the best weights of before are of a later one.
    went_back: Option<u64>,
    _lock: RunLock,
}

impl RunFolder {
    pub(super) fn error(path: &Path, reason: impl std::fmt::Display) -> TrainError {
        TrainError::RunFolder { path: path.display().to_string(), reason: reason.to_string() }
    }

    /// Checks that a run can be started in `path`, without leaving anything there.
    ///
    /// # Errors
    /// A folder that holds a run already, or files by the names of a run's own, or that cannot be written.
    pub fn check_free(path: &Path) -> Result<(), TrainError> {
        if Self::is_run(path) {
            return Err(TrainError::HoldsRun { path: path.display().to_string() });
        }
        RunLock::check(path)?;
        let in_the_way = |what: String| Self::error(path, format!("{what}: choose another folder"));
        // A run from given weights that ended before it began left these.
        let begun = |step: &u64| *step > 0 || told(&Self::checkpoint_path(path, 0)).is_none_or(|(step, _)| step > 0);
        if path.join("checkpoints").exists()
            && let Some(step) = Self::saved_steps(path)?.into_iter().find(begun)
        {
            return Err(in_the_way(format!("checkpoints/ holds step-{step}.safetensors of another run")));
        }
        // One that is empty is left of a run that did not begin.
        if fs::metadata(path.join(METRICS)).is_ok_and(|found| found.len() > 0) {
            return Err(in_the_way(format!("holds {METRICS} of something else")));
        }
        Self::check_writable(path)
    }

    /// Fails unless files can be made in `path`, or where it is not there yet, in what is there of the folders above it.
    ///
    /// # Errors
    /// The system's, such as that it is not allowed.
    pub fn check_writable(path: &Path) -> Result<(), TrainError> {
        // Several runs may begin in the same folder at a time.
        static TRIED: AtomicU32 = AtomicU32::new(0);
        let tried = || {
            let folder = std::path::absolute(path)?;
            let there = folder.ancestors().find(|above| above.exists()).unwrap_or(&folder);
            let number = TRIED.fetch_add(1, Ordering::Relaxed);
            let file = there.join(format!(".unmask-{}-{number}", std::process::id()));
            File::create_new(&file)?;
            fs::remove_file(&file)
        };
        let reason = |error| format!("nothing can be written there, so no training was begun: {error}");
        tried().map_err(|error: std::io::Error| Self::error(path, reason(error)))
    }

    /// Starts a run in `path`, which is made where it is missing.
    ///
    /// # Errors
    /// As [`RunFolder::check_free`], and a folder that another process writes.
    pub fn create(path: &Path, recipe: &Recipe) -> Result<RunFolder, TrainError> {
        Self::create_at(path, recipe, None)
    }

    /// As [`RunFolder::create`], with `first` as the run's first checkpoint: what it starts from is given, and could
    /// not be made again from its settings.
    ///
    /// # Errors
    /// As [`RunFolder::create`].
    pub fn create_from(path: &Path, first: &Checkpoint) -> Result<RunFolder, TrainError> {
        Self::create_at(path, &first.recipe, Some(first))
    }

    fn create_at(path: &Path, recipe: &Recipe, first: Option<&Checkpoint>) -> Result<RunFolder, TrainError> {
        for folder in [path.join("checkpoints"), path.join("previews")] {
            fs::create_dir_all(&folder).map_err(|error| Self::error(path, error))?;
        }
        let lock = RunLock::take(path)?;
        Self::check_free(path)?;
        let io = |error| Self::error(path, error);
        let metrics = File::create(path.join(METRICS)).and_then(Appended::new).map_err(io)?;
        let events = EventFile::create(path, 0).map_err(io)?;
        if let Some(first) = first {
            first.write(&Self::checkpoint_path(path, first.step))?;
        }
        // Last, as it is what makes the folder a run.
        write_whole(&path.join(RECIPE), recipe.to_toml_with_notes()?.as_bytes()).map_err(io)?;
        Ok(Self::opened(path.to_owned(), metrics, events, None, lock))
    }

    /// Settings of the run in `path`, as they were last.
    ///
    /// # Errors
    /// A folder without a run, or whose recipe cannot be read.
    pub fn recipe(path: &Path) -> Result<Recipe, TrainError> {
        Self::check_run(path)?;
        Recipe::read(&path.join(RECIPE))
    }

    fn check_run(path: &Path) -> Result<(), TrainError> {
        match Self::is_run(path) {
            true => Ok(()),
            false => Err(Self::error(path, NO_RUN)),
        }
    }

    /// The newest whole checkpoint of the run in `path` and its file; `None` where the run has saved none. One that is
    /// torn or altered is passed over with a warning.
    ///
    /// # Errors
    /// A folder that cannot be read, or whose checkpoints are all damaged.
    pub fn newest(path: &Path) -> Result<Option<(PathBuf, Checkpoint)>, TrainError> {
        let files = Self::checkpoints(path)?;
        let found = files.iter().find_map(|file| {
            let read = Checkpoint::read(file).inspect_err(|error| log::warn!("checkpoint passed over: {error}"));
            Some((file.clone(), read.ok()?))
        });
        match found {
            None if !files.is_empty() => Err(Self::error(path, "has no readable checkpoint")),
            found => Ok(found),
        }
    }

    /// Files of the checkpoints of the run in `path`, the newest first, whether they can be read or not.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn checkpoints(path: &Path) -> Result<Vec<PathBuf>, TrainError> {
        let steps = Self::saved_steps(path)?;
        Ok(steps.into_iter().rev().map(|step| Self::checkpoint_path(path, step)).collect())
    }

    /// Where the weights with the smallest held-out loss of the run in `path` lie; `None` where none were measured.
    pub fn best(path: &Path) -> Option<PathBuf> {
        Some(path.join("checkpoints").join(BEST)).filter(|file| file.exists())
    }

    /// Whether `path` is the folder of a run.
    pub fn is_run(path: &Path) -> bool {
        path.join(RECIPE).exists()
    }

    /// Where the weights of the run in `path` lie: the best, or where none were measured the newest whole checkpoint.
    ///
    /// # Errors
    /// A run that has saved nothing yet, or whose checkpoints are all damaged.
    pub fn weights(path: &Path) -> Result<PathBuf, TrainError> {
        let nothing = || Self::error(path, "nothing was saved yet; expected a file in checkpoints/");
        match Self::best(path) {
            Some(best) => Ok(best),
            None => Self::newest(path)?.map(|(file, _)| file).ok_or_else(nothing),
        }
    }

    /// Locks the run in `path` at its newest whole checkpoint, and leaves it as it is until [`LockedRun::open`]: with its
    /// settings, and the checkpoint unless the run ended before its first. A checkpoint that is torn or altered is passed
    /// over with a warning.
    ///
    /// # Errors
    /// A folder without a run, that another process writes, or whose checkpoints are all damaged.
    pub fn lock(path: &Path) -> Result<(LockedRun, Recipe, Option<Checkpoint>), TrainError> {
        Self::check_run(path)?;
        let lock = RunLock::take(path)?;
        let checkpoint = Self::newest(path)?.map(|(_, checkpoint)| checkpoint);
        let recipe = match &checkpoint {
            Some(checkpoint) => checkpoint.recipe.clone(),
            None => Self::recipe(path)?,
        };
        let step = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.step);
        Ok((LockedRun::at(path, lock, step)?, recipe, checkpoint))
    }

    /// As [`RunFolder::lock`], as it stood after `step` steps.
    ///
    /// # Errors
    /// A folder that another process writes, or that cannot be written.
    pub fn lock_at(path: &Path, step: u64) -> Result<LockedRun, TrainError> {
        LockedRun::at(path, RunLock::take(path)?, step)
    }

    /// As [`RunFolder::lock`], and opened at once: metrics of steps after the checkpoint are dropped.
    ///
    /// # Errors
    /// As [`RunFolder::lock`], and a folder that cannot be written.
    pub fn resume(path: &Path) -> Result<(RunFolder, Recipe, Option<Checkpoint>), TrainError> {
        let (run, recipe, checkpoint) = Self::lock(path)?;
        Ok((run.open()?, recipe, checkpoint))
    }

    /// Opens the run in `path` as it stood after `step` steps; metrics of later steps are dropped.
    ///
    /// # Errors
    /// A folder that another process writes, or that cannot be written.
    pub fn at(path: &Path, step: u64) -> Result<RunFolder, TrainError> {
        Self::lock_at(path, step)?.open()
    }

    pub(super) fn opened(
        path: PathBuf,
        metrics: Appended,
        events: EventFile,
        went_back: Option<u64>,
        lock: RunLock,
    ) -> RunFolder {
        RunFolder { path, metrics, events, best: None, went_back, _lock: lock }
    }

    /// Writes down the settings that the run has from now on.
    ///
    /// # Errors
    /// The system's, such as a full disk.
    pub fn set_recipe(&mut self, recipe: &Recipe) -> Result<(), TrainError> {
        let file = self.path.join(RECIPE);
        let text = recipe.to_toml_with_notes()?;
        if fs::read_to_string(&file).ok().as_deref() != Some(text.as_str()) {
            write_whole(&file, text.as_bytes()).map_err(|error| Self::error(&self.path, error))?;
        }
        Ok(())
    }

    /// Finds what the best loss was at `mask_ratio` on the held-out pictures `measured`, see [`MetricsLine::measured`].
    ///
    /// # Errors
    /// The system's, such as that metrics cannot be read.
    pub fn compare_at(&mut self, mask_ratio: f64, measured: Option<u32>) -> Result<(), TrainError> {
        let lines = metrics_lines(&self.path).map_err(|error| Self::error(&self.path, error))?;
        let losses = comparable(&lines, mask_ratio, measured);
        // An untrained model is no result, whatever its loss.
        self.best = losses.into_iter().filter(|(step, _)| *step > 0).min_by(|a, b| a.1.total_cmp(&b.1));
        Ok(())
    }

    /// Gives the best weights of before a name of their own, where they are not those that `newer` ones are better than:
    /// other pictures or another mask ratio were measured, or the run has gone on from a step before them.
    fn set_aside(&self, newer: &Checkpoint) -> Result<(), TrainError> {
        let Some(file) = Self::best(&self.path) else { return Ok(()) };
        let Some((step, loss)) = told(&file) else { return Ok(()) };
        let known = self.best.is_some_and(|best| best.0 == step);
        if known || (step == newer.step && loss == newer.held_out_loss) {
            return Ok(());
        }
        let name = format!("best-step-{step}.safetensors");
        fs::rename(&file, file.with_file_name(&name)).map_err(|error| Self::error(&self.path, error))?;
        log::warn!("{}: they are kept as {name}", self.why_aside(step));
        Ok(())
    }

    /// Why the best weights so far, of `step`, are not those that newer ones are better than.
    fn why_aside(&self, step: u64) -> String {
        match self.went_back {
            Some(to) => format!("the run went back to step {to}, and its best weights so far are of step {step}"),
            None => "what is measured now does not compare with the best weights so far".to_owned(),
        }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a line to `metrics.jsonl` and to the event file.
    ///
    /// # Errors
    /// The system's, such as a full disk; the line is written with the next then.
    pub fn log(&mut self, line: &MetricsLine) -> Result<(), TrainError> {
        let text = serde_json::to_string(line).map_err(|error| Self::error(&self.path, error))?;
        let written = [self.metrics.push(format!("{text}\n").as_bytes()), self.events.log(line)];
        written.into_iter().collect::<Result<(), _>>().map_err(|error| Self::error(&self.path, error))
    }

    fn checkpoint_path(path: &Path, step: u64) -> PathBuf {
        path.join("checkpoints").join(format!("step-{step}.safetensors"))
    }

    /// Step of the best weights of the run in `path`, if there are any.
    pub(super) fn best_step(path: &Path) -> Option<u64> {
        Self::best(path).and_then(|file| told(&file)).map(|(step, _)| step)
    }

    /// What lies in the folder of checkpoints.
    pub(super) fn saved(path: &Path) -> Result<fs::ReadDir, TrainError> {
        let reason = |error| format!("its folder checkpoints cannot be read: {error}");
        fs::read_dir(path.join("checkpoints")).map_err(|error| Self::error(path, reason(error)))
    }

    /// Steps of the saved checkpoints, ascending.
    fn saved_steps(path: &Path) -> Result<Vec<u64>, TrainError> {
        let mut steps: Vec<u64> = Self::saved(path)?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|name| name.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse().ok())
            .collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// Whether a model after `step` steps with this held-out loss, at the run's mask ratio, is better than all before.
    pub fn is_best(&self, step: u64, loss: f64) -> bool {
        step > 0 && self.best.is_none_or(|best| loss < best.1)
    }

    /// Saves `weights`, see [`super::Trainer::weights`], as the best so far. Where those of before do not compare, they stay
    /// as `best-step-N.safetensors`.
    ///
    /// # Errors
    /// The system's, such as a full disk; what was the best before stays whole.
    pub fn save_best(&mut self, weights: &Checkpoint) -> Result<PathBuf, TrainError> {
        let file = self.path.join("checkpoints").join(BEST);
        self.set_aside(weights)?;
        weights.write(&file)?;
        self.went_back = None;
        self.best = weights.held_out_loss.map(|loss| (weights.step, loss));
        // Made again, they need no other name.
        let aside = file.with_file_name(format!("best-step-{}.safetensors", weights.step));
        if told(&aside) == Some((weights.step, weights.held_out_loss)) {
            fs::remove_file(&aside).map_err(|error| Self::error(&self.path, error))?;
        }
        Ok(file)
    }

    /// Saves `checkpoint`, keeping the newest `keep`.
    ///
    /// # Errors
    /// The system's, such as a full disk; what was saved before stays whole.
    pub fn save(&mut self, checkpoint: &Checkpoint) -> Result<PathBuf, TrainError> {
        let file = Self::checkpoint_path(&self.path, checkpoint.step);
        checkpoint.write(&file)?;
        // Newer ones are left where those were damaged from which the run did not go on.
        let steps: Vec<u64> = Self::saved_steps(&self.path)?;
        let past = steps.iter().filter(|step| **step < checkpoint.step);
        for step in past.take(steps.len().saturating_sub(checkpoint.recipe.train.keep)) {
            let file = Self::checkpoint_path(&self.path, *step);
            // Somebody may hold it open, which some systems mind; it goes with the next.
            if let Err(error) = fs::remove_file(&file) {
                log::warn!("{} stays: {error}", file.display());
            }
        }
        Ok(file)
    }

    /// Writes an RGBX picture as `previews/step-N.png`.
    ///
    /// # Errors
    /// The system's, such as a full disk.
    pub fn preview(&self, step: u64, pixels: &[u8], [width, height]: [u32; 2]) -> Result<PathBuf, TrainError> {
        let file = self.path.join("previews").join(format!("step-{step}.png"));
        let (mut png, format) = (Cursor::new(Vec::new()), image::ImageFormat::Png);
        image::write_buffer_with_format(&mut png, pixels, width, height, image::ExtendedColorType::Rgba8, format)
            .map_err(|error| Self::error(&self.path, error))?;
        write_whole(&file, png.get_ref()).map_err(|error| Self::error(&self.path, error))?;
        Ok(file)
    }
}

/// Step and held-out loss of the weights in `file`, if it is there.
fn told(file: &Path) -> Option<(u64, Option<f64>)> {
    let weights = open_weights(file).ok()?;
    let loss = weights.text("held_out_loss").ok().and_then(|loss| loss.parse().ok());
    Some((weights.text("step").ok()?.parse().ok()?, loss))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::Tensors;

    #[test]
    fn the_newest_checkpoints_are_kept_as_many_as_the_recipe_says() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut recipe = Recipe::default();
        recipe.train.keep = 2;
        let mut run = RunFolder::create(folder.path(), &recipe).expect("a run");
        let checkpoint = |step: u64| Checkpoint {
            recipe: recipe.clone(),
            step,
            samples: 0,
            weights: Tensors::default(),
            first: Tensors::default(),
            second: Tensors::default(),
            average: None,
            held_out_loss: None,
        };
        let mut save = |step: u64| {
            run.save(&checkpoint(step)).expect("saved");
            RunFolder::saved_steps(folder.path()).expect("steps")
        };
        assert_eq!(save(5), [5]);
        assert_eq!(save(10), [5, 10]);
        assert_eq!(save(15), [10, 15]);
        // A run that went on from an older one leaves the newer ones, which are damaged.
        assert_eq!(save(12), [12, 15]);
        drop(run);
        fs::remove_dir_all(folder.path().join("checkpoints")).expect("removed");
        let text = RunFolder::resume(folder.path()).expect_err("nothing to go on from").to_string();
        assert!(text.contains("its folder checkpoints cannot be read: "), "{text}");
    }

    #[test]
    fn what_no_run_wrote_is_neither_replaced_nor_emptied() {
        let recipe = Recipe::default();
        for name in [METRICS, "lock", "checkpoints/step-0.safetensors"] {
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join(name);
            fs::create_dir(folder.path().join("checkpoints")).expect("made");
            fs::write(&file, "somebody's").expect("written");
            let named = name.rsplit('/').next().expect("a name");
            for refused in [RunFolder::check_free(folder.path()), RunFolder::create(folder.path(), &recipe).map(drop)] {
                let error = refused.expect_err(name).to_string();
                assert!(error.contains(named) && error.contains("choose another folder"), "{error}");
            }
            assert_eq!(fs::read_to_string(&file).expect("read"), "somebody's");
        }
    }

    #[test]
    fn what_a_crash_left_half_written_is_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        drop(RunFolder::create(folder.path(), &Recipe::default()).expect("a run"));
        let there =
            ["recipe.toml.7-0.tmp", "metrics.jsonl.7-1.tmp", "checkpoints/step-5.safetensors.7-2.tmp", "mine.tmp"];
        let files = there.map(|name| folder.path().join(name));
        files.iter().for_each(|file| fs::write(file, "half").expect("written"));
        RunFolder::at(folder.path(), 0).expect("a run");
        assert_eq!(files.map(|file| file.exists()), [false, false, false, true]);
    }

    #[test]
    fn the_best_weights_stay_until_better_ones_compare() {
        let folder = tempfile::tempdir().expect("a folder");
        let recipe = Recipe::default();
        let mut run = RunFolder::create(folder.path(), &recipe).expect("a run");
        let found = |run: &mut RunFolder, step, ratio, loss| {
            let line =
                MetricsLine { step, held_out_loss: Some(loss), mask_ratio: Some(ratio), ..MetricsLine::default() };
            run.log(&line).expect("logged");
            if run.is_best(step, loss) {
                let [weights, first, second] = [(); 3].map(|()| Tensors::default());
                let (recipe, average, held_out_loss) = (recipe.clone(), None, Some(loss));
                let best = Checkpoint { recipe, step, samples: 0, weights, first, second, average, held_out_loss };
                run.save_best(&best).expect("saved");
            }
        };
        let best = || told(&RunFolder::best(folder.path()).expect("there")).expect("weights");
        let aside = |step: u64| folder.path().join(format!("checkpoints/best-step-{step}.safetensors"));
        found(&mut run, 5, 0.75, 0.4);
        // There and back before anything was measured.
        for ratio in [0.8, 0.75] {
            run.compare_at(ratio, None).expect("read");
            assert_eq!(best(), (5, Some(0.4)));
        }
        assert!(!run.is_best(10, 0.41));
        run.compare_at(0.8, None).expect("read");
        found(&mut run, 10, 0.8, 0.6);
        assert_eq!((best(), told(&aside(5))), ((10, Some(0.6)), Some((5, Some(0.4)))));
        // A run that goes on from a step before its best keeps those until they are made again.
        found(&mut run, 20, 0.8, 0.5);
        drop(run);
        let mut run = RunFolder::at(folder.path(), 12).expect("a run");
        run.compare_at(0.8, None).expect("read");
        assert_eq!(run.why_aside(20), "the run went back to step 12, and its best weights so far are of step 20");
        found(&mut run, 15, 0.8, 0.55);
        assert!(run.why_aside(15).contains("does not compare"), "from here on it has its own");
        assert_eq!((best(), told(&aside(20))), ((15, Some(0.55)), Some((20, Some(0.5)))));
        found(&mut run, 20, 0.8, 0.5);
        assert_eq!((best(), told(&aside(20))), ((20, Some(0.5)), None));
    }
}
