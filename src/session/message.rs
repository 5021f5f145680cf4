//! What goes in and out of a session.

use std::path::PathBuf;

use super::JobError;
use crate::gpu::AdapterSummary;
use crate::train::{Estimate, MetricsLine};

/// What a face asks of a running session; taken up between steps.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Stop after the current step until resumed.
    Pause,
    /// Go on.
    Resume,
    /// One step while paused.
    Step,
    /// Finish the step, save and end.
    Stop,
    /// Save now.
    Save,
    /// Measure the held-out pictures now, with a preview.
    Measure,
    /// Share of hidden patches from the next step on.
    SetMaskRatio(f64),
    /// Base learning rate from the next step on.
    SetBaseLearningRate(f64),
}

/// What a session starts with.
#[derive(Clone, Debug)]
pub struct Started {
    /// Where it runs.
    pub adapter: AdapterSummary,
    /// Estimated memory.
    pub estimate: Estimate,
    /// Pictures trained on.
    pub pictures: usize,
    /// Pictures held out.
    pub held_out: usize,
    /// Files that could not be decoded.
    pub skipped: usize,
    /// Steps done before.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// The run folder, if there is one.
    pub out: Option<PathBuf>,
}

/// What a session reports.
#[derive(Debug)]
pub enum Event {
    /// Ready to train.
    Started(Box<Started>),
    /// A step was done.
    Step(MetricsLine),
    /// Held-out loss after `step` steps.
    HeldOut {
        /// Steps done.
        step: u64,
        /// Mean square error over hidden patches.
        loss: f64,
    },
    /// A checkpoint was written.
    Saved(PathBuf),
    /// A preview was written.
    Preview(PathBuf),
    /// Something the user should know.
    Warning(String),
    /// Training stopped as asked or at its end, everything saved.
    Finished {
        /// Steps done.
        step: u64,
    },
    /// Training cannot go on.
    Failed(JobError),
}
