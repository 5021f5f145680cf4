//! Errors of training and reconstructing.

use crate::data::DataError;
use crate::gpu::GpuError;
use crate::graph::GraphError;
use crate::mae::MaeError;
use crate::weights::WeightsError;

/// What can go wrong while training.
#[derive(Debug, thiserror::Error)]
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
    /// The loss or a gradient stopped being a number.
    #[error(
        "{what} is not finite at step {step}; the weights are still those of the step before{checkpoint}. \
         Try a smaller learning rate (--blr), a longer warm-up or --clip-grad 1"
    )]
    NotFinite {
        /// `the loss` or `the gradient norm`.
        what: &'static str,
        /// Step at which it happened.
        step: u64,
        /// Where the last good checkpoint lies, as a half sentence, or nothing.
        checkpoint: String,
    },
    /// A model that does not fit the adapter.
    #[error("model \"{model}\" at batch {batch} does not fit: {source}; estimated memory: {estimate}")]
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
    /// No picture to train on.
    #[error("no picture to train on: {0}")]
    NoPictures(String),
    /// Too many files that cannot be read or decoded.
    #[error(
        "{failed} of {tried} pictures cannot be read, more than the share of {most} that max_unreadable allows; \
         the warnings name them, and so does unmask data check"
    )]
    Unreadable {
        /// How many.
        failed: u64,
        /// Of how many.
        tried: u64,
        /// Share that is allowed.
        most: f64,
    },
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
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
