//! Errors of training and reconstructing.

use super::{Estimate, Recipe};
use crate::data::{DataError, few};
use crate::gpu::GpuError;
use crate::graph::GraphError;
use crate::mae::MaeError;
use crate::weights::WeightsError;

/// What can go wrong while training.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A setting of the recipe.
    #[error("recipe: {field} = {value}: {expected}")]
    Setting {
        /// Name of the setting.
        field: &'static str,
        /// Its value.
        value: String,
        /// What was expected.
        expected: String,
    },
    /// A setting that a run cannot change when it goes on.
    #[error(
        "a run that goes on cannot change {field}: {field} = {given} was asked for, the run has {field} = {run}; \
         go on with the run's own, or start another run"
    )]
    Fixed {
        /// Name of the setting.
        field: String,
        /// Its value in the run.
        run: String,
        /// The value that was asked for.
        given: String,
    },
    /// A recipe file that cannot be understood.
    #[error("{path}: {reason}")]
    Recipe {
        /// The file.
        path: String,
        /// What is wrong, with line and expected names.
        reason: String,
    },
    /// A run folder that cannot be used.
    #[error("run folder {path}: {reason}")]
    RunFolder {
        /// The folder.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A run that is to begin where there is one.
    #[error("run folder {path}: holds a run already: go on with that, or choose another folder")]
    HoldsRun {
        /// The folder.
        path: String,
    },
    /// The loss or a gradient stopped being a number.
    #[error(
        "{what} is not finite at step {step}; {checkpoint}. \
         Try a smaller base learning rate, a longer warm-up, or to clip gradients at 1"
    )]
    NotFinite {
        /// `the loss` or `the gradient norm`.
        what: &'static str,
        /// Step at which it happened.
        step: u64,
        /// Where the newest checkpoint lies, or that there is none, as a half sentence.
        checkpoint: String,
    },
    /// A model that does not fit the adapter.
    #[error(
        "model \"{model}\" at batch {batch} does not fit: {source}; estimated memory: {estimate}. Less takes a smaller \
         batch (with as many times more micro-batches a step the result is the same), to recompute, or mixed precision \
         where the adapter has 16-bit floats"
    )]
    DoesNotFit {
        /// Preset or recipe.
        model: String,
        /// Pictures a micro-batch.
        batch: usize,
        /// Estimated bytes, for people.
        estimate: String,
        /// The limit that was hit.
        source: Box<TrainError>,
    },
    /// A mask that does not go with the model.
    #[error("mask: {0}")]
    Mask(String),
    /// A step for whose losses there is no room.
    #[error("{0} steps are submitted and their metrics not collected: collect them before the next")]
    Uncollected(usize),
    /// No picture to train on.
    #[error("no usable picture: {0}")]
    NoPictures(String),
    /// Too many files that cannot be read or decoded.
    #[error(
        "{failed} of {tried} pictures cannot be read, more than the share of {most} that max_unreadable allows: {}; \
         `unmask data check` tells what is wrong with each",
        few(names, *failed as usize)
    )]
    Unreadable {
        /// How many.
        failed: u64,
        /// Of how many.
        tried: u64,
        /// Share that is allowed.
        most: f64,
        /// Names of a few of them.
        names: Vec<String>,
    },
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The data of a run that goes on.
    #[error("{0}; the run has trained on it: if it lies elsewhere now, say where")]
    DataGone(#[source] DataError),
    /// The model.
    #[error(transparent)]
    Model(#[from] MaeError),
    /// The weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The engine.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The device.
    #[error(transparent)]
    Gpu(#[from] GpuError),
}

impl TrainError {
    /// Whether memory, or what the adapter binds at once, is too small for what was asked: half the batch may do.
    pub fn is_too_large(&self) -> bool {
        let graph = match self {
            TrainError::DoesNotFit { .. } => return true,
            TrainError::Gpu(error) => return too_large(error),
            TrainError::Graph(error) | TrainError::Model(MaeError::Graph(error)) => error,
            _ => return false,
        };
        match graph {
            GraphError::TooLarge { .. } => true,
            GraphError::Gpu(error) => too_large(error),
            _ => false,
        }
    }

    /// The same error with the model, its batch and the memory that was estimated for it, where these are what is too
    /// large; any other error as it is.
    #[must_use]
    pub fn sized(self, recipe: &Recipe, estimate: &Estimate) -> TrainError {
        if matches!(self, TrainError::DoesNotFit { .. }) || !self.is_too_large() {
            return self;
        }
        TrainError::DoesNotFit {
            model: recipe.name.clone(),
            batch: recipe.train.batch,
            estimate: estimate.to_string(),
            source: Box::new(self),
        }
    }
}

fn too_large(error: &GpuError) -> bool {
    matches!(error, GpuError::OutOfMemory { .. } | GpuError::TooLarge { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_runs_out_of_memory_names_model_batch_and_estimate() {
        let full = || GpuError::OutOfMemory { label: "slot".to_owned(), bytes: 1 << 33, adapter: "card".to_owned() };
        let bound = || GraphError::TooLarge {
            op: "matmul".to_owned(),
            shape: vec![1 << 20, 1 << 12],
            bytes: 1 << 34,
            limit: 1 << 31,
        };
        let errors = [
            TrainError::Gpu(full()),
            TrainError::Graph(GraphError::Gpu(full())),
            TrainError::Graph(bound()),
            TrainError::Model(MaeError::Graph(bound())),
        ];
        for error in errors {
            let cause = error.to_string();
            let text = error.sized(&Recipe::default(), &Estimate::default()).to_string();
            assert!(text.starts_with("model \"micro\" at batch 32 does not fit: "), "{text}");
            assert!(text.contains(&cause) && text.contains("estimated memory: 0 MiB"), "{text}");
        }
        let other = TrainError::Gpu(GpuError::Lost("sleep".to_owned())).sized(&Recipe::default(), &Estimate::default());
        assert!(matches!(other, TrainError::Gpu(GpuError::Lost(_))), "{other}");
    }
}
