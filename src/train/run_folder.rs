//! A run's folder: recipe, metrics, checkpoints and previews.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::events::EventFile;
use super::metrics::{METRICS, metrics_text};
use super::{Checkpoint, MetricsLine, Recipe, TrainError};
use crate::platform::{UNFINISHED, replace, write_whole};
use crate::weights::open_weights;

/// Name of the file of settings.
const RECIPE: &str = "recipe.toml";
/// Name of the checkpoint with the smallest held-out loss.
const BEST: &str = "best.safetensors";

/// The folder of one run.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    metrics: File,
    events: EventFile,
    best: Option<f64>,
}

impl RunFolder {
    fn error(path: &Path, reason: impl std::fmt::Display) -> TrainError {
        TrainError::RunFolder { path: path.display().to_string(), reason: reason.to_string() }
    }

    /// Starts a run in `path`, which is made where it is missing.
    ///
    /// # Errors
    /// A folder that holds a run already, or that cannot be written.
    pub fn create(path: &Path, recipe: &Recipe) -> Result<RunFolder, TrainError> {
        if path.join(RECIPE).exists() {
            return Err(Self::error(path, "holds a run already; go on with it by --resume, or choose another --out"));
        }
        for folder in [path.join("checkpoints"), path.join("previews")] {
            fs::create_dir_all(&folder).map_err(|error| Self::error(path, error))?;
        }
        let io = |error| Self::error(path, error);
        let metrics = File::create(path.join(METRICS)).map_err(io)?;
        let events = EventFile::create(path, 0).map_err(io)?;
        // Last, as it is what makes the folder a run.
        write_whole(&path.join(RECIPE), recipe.to_toml_with_notes()?.as_bytes()).map_err(io)?;
        Ok(RunFolder { path: path.to_owned(), metrics, events, best: None })
    }

    /// Opens the run in `path` at its newest whole checkpoint: its settings, and the checkpoint unless the run ended
    /// before its first.
    ///
    /// Metrics of steps after that checkpoint are dropped: they will be made again. A checkpoint that is torn or altered
    /// is passed over with a warning.
    ///
    /// # Errors
    /// A folder without a run, or whose checkpoints are all damaged.
    pub fn resume(path: &Path) -> Result<(RunFolder, Recipe, Option<Checkpoint>), TrainError> {
        let recipe_path = path.join(RECIPE);
        if !recipe_path.exists() {
            return Err(Self::error(path, "holds no run (recipe.toml is missing); start one without --resume"));
        }
        let steps = Self::saved_steps(path)?;
        let checkpoint = steps.iter().rev().find_map(|step| {
            let file = Self::checkpoint_path(path, *step);
            Checkpoint::read(&file).inspect_err(|error| log::warn!("checkpoint passed over: {error}")).ok()
        });
        let recipe = match &checkpoint {
            Some(checkpoint) => checkpoint.recipe.clone(),
            None if steps.is_empty() => Recipe::load(&recipe_path.display().to_string())?,
            None => return Err(Self::error(path, "has no readable checkpoint")),
        };
        let folder = Self::at(path, checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.step))?;
        Ok((folder, recipe, checkpoint))
    }

    /// Opens the run in `path` as it stood after `step` steps; metrics of later steps are dropped.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn at(path: &Path, step: u64) -> Result<RunFolder, TrainError> {
        let io = |error| Self::error(path, error);
        let checkpoints = path.join("checkpoints");
        for entry in fs::read_dir(&checkpoints).map_err(io)?.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // The library that writes safetensors has temporary files of its own.
            if name.ends_with(UNFINISHED) || name.starts_with(UNFINISHED) {
                // What a crash left half written.
                fs::remove_file(entry.path()).map_err(io)?;
            }
        }
        // Without a checkpoint all is made again, the line of step 0 too.
        let begun = step > 0;
        let kept = metrics_text(path, |line| begun && line.step <= step);
        let file = path.join(METRICS);
        write_whole(&file, kept.as_bytes()).map_err(io)?;
        let metrics = File::options().append(true).open(&file).map_err(io)?;
        let events = EventFile::create(path, step).map_err(io)?;
        let best = Self::best_of(&checkpoints.join(BEST), step);
        Ok(RunFolder { path: path.to_owned(), metrics, events, best })
    }

    /// Loss of the best checkpoint, if it is whole and of no later step than `step`.
    fn best_of(file: &Path, step: u64) -> Option<f64> {
        let best = open_weights(file).ok()?;
        let number = |key: &str| best.metadata().get(key)?.parse::<f64>().ok();
        let saved = number("step")?;
        number("held_out_loss").filter(|_| saved <= step as f64)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a line to `metrics.jsonl` and to the event file.
    ///
    /// # Errors
    /// The system's, such as a full disk.
    pub fn log(&mut self, line: &MetricsLine) -> Result<(), TrainError> {
        let text = serde_json::to_string(line).map_err(|error| Self::error(&self.path, error))?;
        // In one piece, so that a kill leaves whole lines.
        let written = self.metrics.write_all(format!("{text}\n").as_bytes());
        written.and_then(|()| self.events.log(line)).map_err(|error| Self::error(&self.path, error))
    }

    fn checkpoint_path(path: &Path, step: u64) -> PathBuf {
        path.join("checkpoints").join(format!("step-{step}.safetensors"))
    }

    /// Steps of the saved checkpoints, ascending.
    fn saved_steps(path: &Path) -> Result<Vec<u64>, TrainError> {
        let entries = fs::read_dir(path.join("checkpoints")).map_err(|error| Self::error(path, error))?;
        let mut steps: Vec<u64> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|name| name.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse().ok())
            .collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// Saves `checkpoint`, keeping the newest `keep`, and as the best where its held-out loss is the smallest so far.
    ///
    /// # Errors
    /// The system's, such as a full disk; what was saved before stays whole.
    pub fn save(&mut self, checkpoint: &Checkpoint) -> Result<PathBuf, TrainError> {
        let file = Self::checkpoint_path(&self.path, checkpoint.step);
        checkpoint.write(&file)?;
        if let Some(loss) = checkpoint.held_out_loss.filter(|loss| self.best.is_none_or(|best| *loss < best)) {
            let best = self.path.join("checkpoints").join(BEST);
            // A second name for the same bytes; a copy where there are no such names.
            let twin = |beside: &Path| {
                let _ = fs::remove_file(beside);
                fs::hard_link(&file, beside).or_else(|_| fs::copy(&file, beside).map(drop))
            };
            replace(&best, |error| error, twin).map_err(|error| Self::error(&self.path, error))?;
            self.best = Some(loss);
        }
        let steps = Self::saved_steps(&self.path)?;
        for step in &steps[..steps.len().saturating_sub(checkpoint.recipe.train.keep)] {
            fs::remove_file(Self::checkpoint_path(&self.path, *step))
                .map_err(|error| Self::error(&self.path, error))?;
        }
        Ok(file)
    }

    /// Writes an RGBX picture as `previews/step-N.png`.
    ///
    /// # Errors
    /// The system's, such as a full disk.
    pub fn preview(&self, step: u64, pixels: &[u8], [width, height]: [u32; 2]) -> Result<PathBuf, TrainError> {
        let file = self.path.join("previews").join(format!("step-{step}.png"));
        image::save_buffer(&file, pixels, width, height, image::ExtendedColorType::Rgba8)
            .map_err(|error| Self::error(&self.path, error))?;
        Ok(file)
    }
}
