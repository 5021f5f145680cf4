//! Run folders as a list, to look at and to compare.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::metrics::comparable;
use super::run_folder::RECIPE;
use super::{MetricsLine, Recipe, RunFolder, read_metrics};

/// Deepest folder below the given one that is looked into.
const DEPTH: usize = 3;

/// What is known of a run without opening its checkpoints.
#[derive(Clone, Debug)]
pub struct RunSummary {
    /// Its folder.
    pub path: PathBuf,
    /// Its settings.
    pub recipe: Recipe,
    /// What it wrote of its steps.
    pub lines: Vec<MetricsLine>,
}

impl RunSummary {
    /// The run in `path`; `None` where there is none, or its recipe cannot be read, which is logged.
    pub fn open(path: &Path) -> Option<RunSummary> {
        if !RunFolder::is_run(path) {
            return None;
        }
        match RunFolder::recipe(path) {
            Ok(recipe) => Some(RunSummary { path: path.to_owned(), recipe, lines: read_metrics(path) }),
            Err(error) => {
                log::warn!("passed over: {error}");
                None
            }
        }
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.lines.iter().map(|line| line.step).max().unwrap_or(0)
    }

    /// The last training loss.
    pub fn loss(&self) -> Option<f64> {
        self.lines.iter().rev().find_map(|line| line.loss)
    }

    /// The smallest held-out loss at the run's mask ratio, and its step; that of the untrained model does not count.
    pub fn best(&self) -> Option<(f64, u64)> {
        let set = self.lines.iter().rev().find_map(|line| line.measured);
        let measured = comparable(&self.lines, self.recipe.model.mask_ratio, set);
        let trained = measured.into_iter().filter(|(step, _)| *step > 0);
        trained.map(|(step, loss)| (loss, step)).min_by(|a, b| a.0.total_cmp(&b.0))
    }

    /// Held-out loss by step; the training loss where nothing was held out.
    pub fn curve(&self) -> Vec<[f64; 2]> {
        let curve = |value: fn(&MetricsLine) -> Option<f64>| -> Vec<[f64; 2]> {
            self.lines.iter().filter_map(|line| Some([line.step as f64, value(line)?])).collect()
        };
        let held_out = curve(|line| line.held_out_loss);
        if held_out.len() > 1 { held_out } else { curve(|line| line.loss) }
    }
}

/// The runs in `folder` and some levels below it, by path; `folder` itself may be one.
pub fn find_runs(folder: &Path) -> Vec<RunSummary> {
    let entries = WalkDir::new(folder).max_depth(DEPTH).sort_by_file_name().into_iter().filter_map(Result::ok);
    let recipes = entries.filter(|entry| entry.file_type().is_file() && entry.file_name() == RECIPE);
    recipes.filter_map(|entry| RunSummary::open(entry.path().parent()?)).collect()
}
