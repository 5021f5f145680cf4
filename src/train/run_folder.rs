//! A run's folder: recipe, metrics, checkpoints and previews.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Checkpoint, Recipe, TrainError};

/// A line of `metrics.jsonl`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricsLine {
    /// Optimiser step, from 1; 0 is the state before the first.
    pub step: u64,
    /// Training loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Learning rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
    /// Norm of all gradients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grad_norm: Option<f64>,
    /// Training speed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images_per_s: Option<f64>,
    /// Loss on held-out pictures, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out_loss: Option<f64>,
}

/// The folder of one run.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    metrics: File,
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
        if path.join("recipe.toml").exists() {
            return Err(Self::error(path, "holds a run already; go on with it by --resume, or choose another --out"));
        }
        for folder in [path.join("checkpoints"), path.join("previews")] {
            fs::create_dir_all(&folder).map_err(|error| Self::error(path, error))?;
        }
        let file = path.join("recipe.toml");
        fs::write(&file, recipe.to_toml()?).map_err(|error| Self::error(path, error))?;
        let metrics = File::create(path.join("metrics.jsonl")).map_err(|error| Self::error(path, error))?;
        Ok(RunFolder { path: path.to_owned(), metrics, best: None })
    }

    /// Opens the run in `path` at its newest whole checkpoint.
    ///
    /// Metrics of steps after that checkpoint are dropped: they will be made again. A checkpoint that cannot be read is
    /// passed over with a warning.
    ///
    /// # Errors
    /// A folder without a run or without a checkpoint.
    pub fn resume(path: &Path) -> Result<(RunFolder, Checkpoint), TrainError> {
        let recipe_path = path.join("recipe.toml");
        if !recipe_path.exists() {
            return Err(Self::error(path, "holds no run (recipe.toml is missing); start one without --resume"));
        }
        let steps = Self::saved_steps(path)?;
        let checkpoint = steps.iter().rev().find_map(|step| {
            let file = Self::checkpoint_path(path, *step);
            Checkpoint::read(&file).inspect_err(|error| log::warn!("checkpoint passed over: {error}")).ok()
        });
        let checkpoint = checkpoint.ok_or_else(|| Self::error(path, "has no readable checkpoint"))?;
        Ok((Self::at(path, checkpoint.step)?, checkpoint))
    }

    /// Opens the run in `path` as it stood after `step` steps; metrics of later steps are dropped.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn at(path: &Path, step: u64) -> Result<RunFolder, TrainError> {
        let text = fs::read_to_string(path.join("metrics.jsonl")).unwrap_or_default();
        let kept: Vec<MetricsLine> = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|line: &MetricsLine| line.step <= step)
            .collect();
        let best = kept
            .iter()
            .filter_map(|line| line.held_out_loss)
            .fold(None, |best: Option<f64>, loss| Some(best.map_or(loss, |best| best.min(loss))));
        let metrics = File::create(path.join("metrics.jsonl")).map_err(|error| Self::error(path, error))?;
        let mut folder = RunFolder { path: path.to_owned(), metrics, best };
        for line in &kept {
            folder.log(line)?;
        }
        Ok(folder)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a line to `metrics.jsonl`.
    pub fn log(&mut self, line: &MetricsLine) -> Result<(), TrainError> {
        let text = serde_json::to_string(line).map_err(|error| Self::error(&self.path, error))?;
        writeln!(self.metrics, "{text}").map_err(|error| Self::error(&self.path, error))
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

    /// Saves `checkpoint`, keeping the newest `keep`, and `best` where `held_out_loss` is the smallest so far.
    pub fn save(&mut self, checkpoint: &Checkpoint, held_out_loss: Option<f64>) -> Result<PathBuf, TrainError> {
        let file = Self::checkpoint_path(&self.path, checkpoint.step);
        checkpoint.write(&file)?;
        if let Some(loss) = held_out_loss.filter(|loss| self.best.is_none_or(|best| *loss < best)) {
            self.best = Some(loss);
            checkpoint.write(&self.path.join("checkpoints").join("best.safetensors"))?;
        }
        let steps = Self::saved_steps(&self.path)?;
        for step in &steps[..steps.len().saturating_sub(checkpoint.recipe.train.keep)] {
            fs::remove_file(Self::checkpoint_path(&self.path, *step))
                .map_err(|error| Self::error(&self.path, error))?;
        }
        Ok(file)
    }

    /// Writes an RGBX picture as `previews/step-N.png`.
    pub fn preview(&self, step: u64, pixels: &[u8], [width, height]: [u32; 2]) -> Result<PathBuf, TrainError> {
        let file = self.path.join("previews").join(format!("step-{step}.png"));
        image::save_buffer(&file, pixels, width, height, image::ExtendedColorType::Rgba8)
            .map_err(|error| Self::error(&self.path, error))?;
        Ok(file)
    }
}
