//! The training loop's body: one optimiser step at a time.

mod collect;
mod plans;
mod prepare;

use std::collections::VecDeque;
use std::sync::Arc;

use super::checkpoint::{Checkpoint, loss_scaling_metadata, tiles_metadata};
use super::estimate::TrainGraph;
use super::held_out::HeldOutResult;
use super::{Estimate, Feed, HeldOut, PictureSet, Pictures, Recipe, TrainError};
use crate::data::{Picture, Source, Split};
use crate::gpu::{BufferSlice, DispatchList, Gpu, MAX_SUBMIT, Mark, Pace, Slices, Uploads, Verdict};
use crate::graph::Choices;
use crate::nn::{ParamStore, State};
use crate::ops::{self, LossScaling, average_weight};
use crate::weights::Tensors;
pub use collect::StepMetrics;
use plans::{Running, optimiser_lists, run_plan};
use prepare::Buffers;

/// Micro-batches that are submitted before the device has done the first of them.
const MOST_BEHIND: usize = 2;
/// Steps whose losses may wait on the device before they are read.
const RING: usize = 16;

/// What of a step comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    /// Forward and backward of a micro-batch.
    #[default]
    Gradients,
    /// Norm and optimiser.
    Update,
}

/// Where a step stands that is submitted in slices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stage {
    micro: usize,
    part: Part,
    slices: Slices,
}

/// A model in training.
pub struct Trainer {
    gpu: Arc<Gpu>,
    recipe: Recipe,
    store: Arc<ParamStore>,
    /// Tiles on which its bits depend: checkpoints keep them.
    tiles: Choices,
    feed: Feed,
    held_out: Option<HeldOut>,
    /// Pictures that are held out, measured or not.
    kept_back: usize,
    /// Files that could not be decoded when it was made.
    skipped: Vec<String>,
    /// What it was trained on before, where that was something else.
    former: Option<PictureSet>,
    probe_pictures: Vec<Picture>,
    running: Running,
    inputs: [BufferSlice; 3],
    /// See [`LossScaling`]; without scaling its first number stays 1 / micro-batches.
    scaling: LossScaling,
    schedule: BufferSlice,
    norm: BufferSlice,
    ring: BufferSlice,
    add_first: DispatchList,
    add_next: DispatchList,
    update: DispatchList,
    step: u64,
    /// Samples drawn when that step was done.
    drawn: u64,
    stage: Stage,
    /// What was submitted since the last of `behind`.
    verdicts: Vec<Verdict>,
    /// Micro-batches that the device may still be at.
    behind: VecDeque<(Mark, Vec<Verdict>)>,
    pending: Vec<(u64, f64)>,
    /// A step that went wrong and was not told yet.
    wrong: Option<TrainError>,
}

impl std::fmt::Debug for Trainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trainer").field("step", &self.step).field("recipe", &self.recipe.name).finish_non_exhaustive()
    }
}

impl Trainer {
    /// Prepares training `recipe` on `source`, from its initial weights, or from `checkpoint`.
    ///
    /// # Errors
    /// Bad settings, no readable picture, a model that does not fit the adapter.
    pub async fn new(
        gpu: Arc<Gpu>,
        recipe: Recipe,
        source: Arc<dyn Source>,
        split: &Split,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<Trainer, TrainError> {
        recipe.check()?;
        let samples = checkpoint.map_or(0, |checkpoint| checkpoint.samples);
        let (feed, kept) = prepare::pictures(&gpu, &recipe, source, split, samples).await?;
        let former = checkpoint.map(|checkpoint| PictureSet::in_checkpoint(&checkpoint.weights)).transpose()?.flatten();
        let former = former.filter(|former| *former != feed.pictures());

        let mut graph = TrainGraph::build(&recipe, feed.slot())?;
        let pinned = checkpoint.map(Checkpoint::tiles).transpose()?;
        let roots = graph.roots();
        let tiles = ops::tune(&gpu, &mut graph.builder.graph, &roots, pinned).await?;
        let store = prepare::parameters(&gpu, &recipe, &graph, checkpoint).await?;
        let held_out = match kept.pictures.is_empty() {
            true => None,
            false => {
                let pictures = Pictures::upload(&gpu, kept.pictures).await?;
                Some(HeldOut::new(&gpu, &recipe, &store, pictures).await?)
            }
        };

        let Buffers { inputs, schedule, norm, ring } = Buffers::new(&gpu, &recipe, feed.slot()).await?;
        let scaling = prepare::loss_scaling(&gpu, &recipe, &schedule, checkpoint).await?;
        let running = run_plan(&gpu, &recipe, &graph, &store, &inputs, &scaling).await?;
        let (add_first, add_next, update) =
            optimiser_lists(&gpu, &recipe, &store, [&schedule, &norm], &scaling).await?;
        Ok(Trainer {
            gpu,
            recipe,
            store: Arc::new(store),
            tiles,
            feed,
            held_out,
            kept_back: split.held_out.len(),
            skipped: kept.skipped,
            former,
            probe_pictures: kept.probes,
            running,
            inputs,
            scaling,
            schedule,
            norm,
            ring,
            add_first,
            add_next,
            update,
            step: checkpoint.map_or(0, |checkpoint| checkpoint.step),
            drawn: samples,
            stage: Stage::default(),
            verdicts: Vec::new(),
            behind: VecDeque::new(),
            pending: Vec::new(),
            wrong: None,
        })
    }

    /// Submits one optimiser step; its metrics come from [`Trainer::collect`], at the latest once [`Trainer::is_full`].
    ///
    /// # Errors
    /// As [`Trainer::advance_slice`].
    pub fn advance(&mut self) -> Result<(), TrainError> {
        while !self.advance_slice(usize::MAX)? {}
        Ok(())
    }

    /// Waits for the pictures of the next micro-batch, if it is not under way, and for the device to be at most one
    /// behind, so that uploaded pictures do not pile up. [`advance_slice`](Self::advance_slice) would wait for the
    /// pictures as well, but in a page that keeps all else waiting.
    ///
    /// # Errors
    /// What the device refused of the steps before.
    pub async fn ready(&mut self) -> Result<(), TrainError> {
        if matches!(self.stage, Stage { part: Part::Gradients, slices, .. } if slices == Slices::default()) {
            self.feed.ready().await;
            while self.behind.len() >= MOST_BEHIND {
                let Some((mark, verdicts)) = self.behind.pop_front() else { break };
                accepted(&self.gpu, verdicts).await?;
                self.gpu.reached(mark).await?;
            }
        }
        Ok(())
    }

    /// Submits at most `most` further dispatches of an optimiser step, beginning one if none is under way; true when
    /// the step is complete.
    ///
    /// # Errors
    /// Data that stops being readable, and [`TrainError::Uncollected`] where [`Trainer::is_full`]. What the device refuses is
    /// told by [`Trainer::ready`] and [`Trainer::collect`].
    pub fn advance_slice(&mut self, most: usize) -> Result<bool, TrainError> {
        if self.is_full() {
            return Err(TrainError::Uncollected(RING));
        }
        let (gpu, part) = (self.gpu.clone(), self.stage.part);
        let (done, verdict) = gpu.watched(|| self.submit_slice(&gpu, most));
        self.verdicts.push(verdict);
        let done = done?;
        if part == Part::Gradients && self.stage.slices == Slices::default() {
            self.behind.push_back((gpu.mark_last(), std::mem::take(&mut self.verdicts)));
        }
        Ok(done)
    }

    fn submit_slice(&mut self, gpu: &Gpu, most: usize) -> Result<bool, TrainError> {
        let accumulate = self.recipe.train.accumulate;
        let stride = (accumulate + 4) as u64 * 4;
        let slot = self.pending.len() as u64 * stride;
        let most = most.min(MAX_SUBMIT);
        let Stage { micro, part, mut slices } = self.stage;
        match part {
            Part::Gradients => {
                if slices == Slices::default() {
                    self.feed.next(gpu, &self.inputs[0], &self.inputs[1])?;
                    let counter = self.step * accumulate as u64 + micro as u64;
                    gpu.upload(&self.inputs[2], &[folded(self.recipe.train.seed), counter as u32, 0, 0]);
                }
                let loss = self.ring.part(slot + micro as u64 * 4, 4);
                let copy = Some([&self.running.loss, &loss]);
                if !self.running.plan.list().run_slice_and_copy(gpu, &mut slices, most, copy) {
                    self.stage.slices = slices;
                    return Ok(false);
                }
                if accumulate > 1 {
                    if micro == 0 { &self.add_first } else { &self.add_next }.run(gpu);
                }
                self.stage = match micro + 1 < accumulate {
                    true => Stage { micro: micro + 1, ..Stage::default() },
                    false => Stage { micro, part: Part::Update, slices: Slices::default() },
                };
                Ok(false)
            }
            Part::Update => {
                let lr = self.recipe.schedule().at(self.step);
                if slices == Slices::default() {
                    let mut schedule = self.recipe.optimiser().schedule(lr, self.step + 1);
                    schedule[3] = average_weight(self.recipe.train.ema_decay, self.step + 1);
                    gpu.upload(&self.schedule, &schedule);
                }
                let norm = self.ring.part(slot + accumulate as u64 * 4, 16);
                if !self.update.run_slice_and_copy(gpu, &mut slices, most, Some([&self.norm, &norm])) {
                    self.stage.slices = slices;
                    return Ok(false);
                }
                self.stage = Stage::default();
                self.step += 1;
                self.drawn = self.feed.samples();
                self.pending.push((self.step, lr));
                Ok(true)
            }
        }
    }

    /// Whether no step is half done.
    pub fn is_between_steps(&self) -> bool {
        self.stage == Stage::default()
    }

    /// Whether metrics must be collected before the next step.
    pub fn is_full(&self) -> bool {
        self.pending.len() == RING
    }

    /// Measures the held-out pictures, at `pace`; `None` where there are none.
    pub async fn measure(&self, pace: &mut Pace) -> Result<Option<HeldOutResult>, TrainError> {
        match &self.held_out {
            Some(held_out) => Ok(Some(held_out.measure(&self.gpu, pace).await?)),
            None => Ok(None),
        }
    }

    /// A forward pass over the first held-out pictures, to be looked at while the model learns; `None` where there
    /// are none.
    pub async fn probes(&self) -> Result<Option<HeldOut>, TrainError> {
        if self.probe_pictures.is_empty() {
            return Ok(None);
        }
        let pictures = Pictures::upload(&self.gpu, self.probe_pictures.clone()).await?;
        Ok(Some(HeldOut::new(&self.gpu, &self.recipe, &self.store, pictures).await?))
    }

    /// The state to resume from.
    pub async fn checkpoint(&self) -> Result<Checkpoint, TrainError> {
        Ok(Checkpoint {
            first: self.store.save(&self.gpu, State::First).await?,
            second: self.store.save(&self.gpu, State::Second).await?,
            ..self.weights().await?
        })
    }

    /// The weights and their averages as they are now, without the optimiser's moments: to be used, not to resume from.
    pub async fn weights(&self) -> Result<Checkpoint, TrainError> {
        let mut weights = self.store.save(&self.gpu, State::Weights).await?;
        weights.metadata.extend(tiles_metadata(&self.tiles));
        weights.metadata.extend([self.feed.pictures().metadata()]);
        if self.recipe.is_mixed() {
            let state: Vec<f32> = self.gpu.read_one("loss scaling", &self.scaling.state).await?;
            weights.metadata.extend([loss_scaling_metadata(&state)]);
        }
        Ok(Checkpoint {
            recipe: self.recipe.clone(),
            step: self.step,
            samples: self.drawn,
            weights,
            first: Tensors::default(),
            second: Tensors::default(),
            average: match self.recipe.train.ema_decay > 0.0 {
                true => Some(self.store.save(&self.gpu, State::Average).await?),
                false => None,
            },
            held_out_loss: None,
        })
    }

    /// Changes the share of hidden patches from the next step on, and in measurements; the graphs are planned again.
    ///
    /// To be called between steps.
    ///
    /// # Errors
    /// A share that is none, and plans that do not fit the adapter: everything stays as it was.
    pub async fn set_mask_ratio(&mut self, ratio: f64) -> Result<(), TrainError> {
        let mut recipe = self.recipe.clone();
        recipe.model.mask_ratio = ratio;
        recipe.check()?;
        let mut graph = TrainGraph::build(&recipe, self.feed.slot())?;
        let roots = graph.roots();
        let tiles = ops::tune(&self.gpu, &mut graph.builder.graph, &roots, Some(self.tiles.clone())).await?;
        let held_out = match &self.held_out {
            Some(held_out) => Some(held_out.replanned(&self.gpu, &recipe, &self.store).await?),
            None => None,
        };
        self.running = run_plan(&self.gpu, &recipe, &graph, &self.store, &self.inputs, &self.scaling).await?;
        (self.held_out, self.tiles) = (held_out, tiles);
        self.recipe = recipe;
        Ok(())
    }

    /// Changes the base learning rate from the next step on.
    pub fn set_base_learning_rate(&mut self, blr: f64) -> Result<(), TrainError> {
        let mut recipe = self.recipe.clone();
        recipe.train.blr = blr;
        recipe.check()?;
        self.recipe = recipe;
        Ok(())
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Settings.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The parameters.
    pub fn store(&self) -> &Arc<ParamStore> {
        &self.store
    }

    /// Where batches come from.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// The device.
    pub fn gpu(&self) -> &Arc<Gpu> {
        &self.gpu
    }

    /// The memory that it takes.
    pub fn estimate(&self) -> Estimate {
        let mut estimate = self.running.estimate.clone();
        estimate.pixels += self.feed.resident_bytes();
        match &self.held_out {
            Some(held_out) => held_out.added_to(estimate),
            None => estimate,
        }
    }

    /// Number of pictures that are held out.
    pub fn held_out(&self) -> usize {
        self.kept_back
    }

    /// Number of held-out pictures that are measured.
    pub fn measured(&self) -> usize {
        self.held_out.as_ref().map_or(0, HeldOut::pictures)
    }

    /// Which they are, see [`super::MetricsLine::measured`].
    pub fn measured_set(&self) -> Option<u32> {
        self.held_out.as_ref().map(HeldOut::fingerprint)
    }

    /// The pictures that it was trained on before, where these were others than now: its order is another one since.
    pub fn former_pictures(&self) -> Option<PictureSet> {
        self.former
    }

    /// Names of files, to train on and held out, that could not be decoded when it was made.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }
}

/// Fails for what the device refused.
async fn accepted(gpu: &Gpu, verdicts: impl IntoIterator<Item = Verdict>) -> Result<(), TrainError> {
    for verdict in verdicts {
        gpu.accepted(verdict).await?;
    }
    Ok(())
}

/// A seed as shaders draw by it: one below 2^32 is itself.
fn folded(seed: u64) -> u32 {
    (seed ^ seed >> 32) as u32
}
