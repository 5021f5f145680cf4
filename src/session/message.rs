//! What goes in and out of a session.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Job, JobError};
use crate::data::Picture;
use crate::gpu::{AdapterSummary, Compiling, OwnedTexture};
use crate::mae::MaeConfig;
use crate::train::{Checkpoint, Estimate, Hidden, Look, Looked, Measured, MetricsLine, Profile};

/// Where the weights to explore come from.
#[derive(Clone, Debug)]
pub enum WeightsFrom {
    /// The model that comes with the program.
    Shipped,
    /// The model in training, as it is at each moment.
    Training,
    /// A file.
    Path(PathBuf),
    /// The bytes of a file, and its name.
    Bytes(String, Arc<Vec<u8>>),
    /// A run's state, or its weights alone.
    Checkpoint(Arc<Checkpoint>),
}

/// What of exploring was asked for and cannot be done, see [`Event::Refused`].
#[derive(Clone, Debug)]
pub enum Request {
    /// Other weights.
    Weights(WeightsFrom),
    /// Another picture.
    Picture,
    /// The picture, rebuilt.
    Shown,
    /// A look inside the model.
    Look,
    /// What a reconstruction costs.
    Costs,
}

/// What a face asks of a running session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Command {
    /// Explore with these weights.
    Weights(WeightsFrom),
    /// Explore this picture.
    Picture(Box<Picture>),
    /// Hide these patches of it; of several in a row only the last is shown.
    Hide(Hidden),
    /// Look inside the model with the picture that is explored, and again whenever either changes; `None` ends that.
    Inspect(Option<Look>),
    /// Measure what a reconstruction costs.
    Profile,
    /// Begin training; a run in progress is stopped and saved first, and what comes behind is for the new one.
    Train(Box<Job>),
    /// Stop after the current step until resumed.
    Pause,
    /// Go on.
    Resume,
    /// One step while paused.
    Step,
    /// Finish the step, save and end training; give up what is prepared and has not begun.
    Stop,
    /// Save now.
    Save,
    /// Copy the run's state to main memory now, see [`Event::Snapshot`].
    Snapshot,
    /// Seconds between such copies while a run goes on; none by default.
    SnapshotEvery(f64),
    /// Measure the held-out pictures now, with a preview.
    Measure,
    /// Share of hidden patches from the next step on.
    SetMaskRatio(f64),
    /// Base learning rate from the next step on.
    SetBaseLearningRate(f64),
    /// Seconds that one submission of training may keep the device busy, so that others get their turn; 0 for no limit.
    SetSlice(f64),
    /// Look whether the device is still there: a session that waits for commands looks at nothing by itself.
    Wake,
    /// End the session, with what is in training saved.
    Close,
}

/// What training starts with.
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
    /// Those of them that are measured.
    pub measured: usize,
    /// Names of files that could not be decoded.
    pub skipped: Vec<String>,
    /// Steps done before.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// Pictures a step, all micro-batches together.
    pub batch: usize,
    /// The run folder, if there is one.
    pub out: Option<PathBuf>,
}

/// The model that is explored.
#[derive(Clone, Debug)]
pub struct Model {
    /// Where it came from, for people.
    pub name: String,
    /// Where its weights came from.
    pub from: WeightsFrom,
    /// Its shape.
    pub config: MaeConfig,
    /// Numbers in it.
    pub parameters: u64,
}

/// A picture rebuilt, on the device.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Visible | reconstruction | reconstruction with visible patches | original, `[S, 4 S]` pixels.
    pub texture: Arc<OwnedTexture>,
    /// Mask and errors.
    pub measured: Measured,
    /// Seconds from giving the work to the device to having the numbers.
    pub seconds: f64,
}

/// What a session reports.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Another model is explored.
    Model(Box<Model>),
    /// The picture that is explored was rebuilt.
    Shown(Box<Shown>),
    /// What there is to see inside the model.
    Inspected(Box<Looked>),
    /// What a reconstruction costs.
    Profiled(Box<Profile>),
    /// What was asked of exploring cannot be done.
    Refused {
        /// What was asked for.
        request: Request,
        /// Why not.
        reason: String,
    },
    /// The device that a session of one job opened is there, and compiling its kernels begins.
    Opened(Arc<Compiling>),
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
    /// Held-out pictures as the model rebuilds them after `step` steps: four panels a picture, one below the other.
    Probe {
        /// Steps done.
        step: u64,
        /// The picture of pictures.
        texture: Arc<OwnedTexture>,
    },
    /// Training paused or went on.
    Paused(bool),
    /// Nothing could be saved, as a warning told: the run waits with all that it learnt until it is resumed, which tries
    /// again, or stopped, which gives up what cannot be saved.
    Unsaved,
    /// A share of hidden patches was refused; this is the one in force.
    MaskRatio(f64),
    /// The state of the run, all that it takes to go on with it by [`super::Begin::Snapshot`].
    Snapshot(Arc<Checkpoint>),
    /// The weights of a run that has ended and whose whole state was too large to be copied: nothing can go on from them.
    Weights(Arc<Checkpoint>),
    /// A checkpoint was written.
    Saved(PathBuf),
    /// A preview was written.
    Preview(PathBuf),
    /// Something the user should know.
    Warning(String),
    /// Training stopped as asked or at its end, everything saved.
    Finished {
        /// Share of the time that the adapter waited for pictures to be read and decoded.
        waited: f64,
        /// Steps done.
        step: u64,
    },
    /// Training was stopped while it was prepared: nothing was begun, and nothing is to be saved.
    Cancelled,
    /// Training cannot go on.
    Failed(JobError),
    /// The device is gone, and the session with it.
    Lost(String),
}
