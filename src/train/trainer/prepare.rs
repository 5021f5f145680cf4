//! What a trainer begins with: pictures, memory, weights and the scale of the loss, new or as a checkpoint has them.

use std::sync::Arc;

use super::RING;
use crate::data::{Picture, Source, Split, load_all_beside};
use crate::gpu::{BufferSlice, Gpu, Uploads};
use crate::nn::ParamStore;
use crate::ops::{FIRST_SCALE, LossScaling};
use crate::platform;
use crate::train::estimate::TrainGraph;
use crate::train::{Checkpoint, Feed, FeedOptions, HeldOut, Recipe, Slot, TrainError, decode_limit, packed};

/// Most held-out pictures that are measured.
const MAX_HELD_OUT: usize = 512;
/// Held-out pictures that are rebuilt while the model learns.
const PROBES: usize = 4;

/// Decoded pictures that are not trained on.
pub(super) struct Kept {
    /// Those to measure.
    pub pictures: Vec<Picture>,
    /// What they take on the device.
    bytes: u64,
    /// Those to rebuild while the model learns.
    pub probes: Vec<Picture>,
    /// Files that could not be decoded, to train on too.
    pub skipped: Vec<String>,
}

/// The pictures that `recipe` trains on, after `samples` of them, and those that are held out.
pub(super) async fn pictures(
    gpu: &Gpu,
    recipe: &Recipe,
    source: Arc<dyn Source>,
    split: &Split,
    samples: u64,
) -> Result<(Feed, Kept), TrainError> {
    let (t, limit) = (&recipe.train, decode_limit(recipe.model.image_size));
    let budget = t.pixel_budget.saturating_mul(1 << 20);
    let mut kept = held_out(source.as_ref(), split, limit, budget).await;
    let options = FeedOptions {
        batch: t.batch,
        seed: t.seed,
        samples,
        budget: budget.saturating_sub(kept.bytes),
        limit,
        max_unreadable: t.max_unreadable,
    };
    let feed = Feed::open(gpu, source, &split.train, options).await?;
    kept.skipped.extend_from_slice(feed.skipped());
    Ok((feed, kept))
}

/// Decodes what `split` holds out of `source`, as much as `budget` bytes hold, see [`HeldOut::within`]; `limit` as for
/// the pictures that are trained on.
async fn held_out(source: &dyn Source, split: &Split, limit: u32, budget: u64) -> Kept {
    let loaded = load_all_beside(source, &split.measured(MAX_HELD_OUT), Some(limit), platform::threads()).await;
    let skipped = loaded.skipped.iter().map(|(name, _)| name.clone()).collect();
    let (pictures, bytes) = HeldOut::within(packed(loaded), budget);
    let count = pictures.len().min(PROBES);
    let probes = (0..count).map(|place| pictures[place * pictures.len() / count].clone()).collect();
    Kept { pictures, bytes, probes, skipped }
}

/// Memory of a run beside weights and activations.
pub(super) struct Buffers {
    /// Pixels, sizes and counter of a micro-batch.
    pub inputs: [BufferSlice; 3],
    /// Numbers of the step for the optimiser.
    pub schedule: BufferSlice,
    /// What the norm of all gradients came to.
    pub norm: BufferSlice,
    /// Losses and norms of steps that nobody has read yet.
    pub ring: BufferSlice,
}

impl Buffers {
    /// For batches of `recipe` in `slot`s.
    pub async fn new(gpu: &Gpu, recipe: &Recipe, slot: Slot) -> Result<Buffers, TrainError> {
        let t = &recipe.train;
        let inputs = [
            gpu.buffer("pixels", slot.bytes(t.batch)).await?,
            gpu.buffer("sizes", t.batch as u64 * 16).await?,
            gpu.buffer("step", 16).await?,
        ];
        Ok(Buffers {
            inputs,
            schedule: gpu.buffer("schedule", 16).await?,
            norm: gpu.buffer("norm", 16).await?,
            ring: gpu.buffer("losses", RING as u64 * (t.accumulate as u64 + 4) * 4).await?,
        })
    }
}

/// The parameters of `graph` on the device, with the optimiser's state, and averages where the recipe wants some.
pub(super) async fn parameters(
    gpu: &Gpu,
    recipe: &Recipe,
    graph: &TrainGraph,
    checkpoint: Option<&Checkpoint>,
) -> Result<ParamStore, TrainError> {
    let mut store = ParamStore::new(gpu, graph.builder.params(), true).await?;
    if recipe.train.ema_decay > 0.0 {
        store.keep_average(gpu).await?;
    }
    match checkpoint {
        Some(checkpoint) => checkpoint.restore(gpu, &store)?,
        None => {
            store.initialise(gpu, recipe.train.seed);
            store.begin_average(gpu);
        }
    }
    Ok(store)
}

/// The scale of the loss, whose rate is told in `schedule`.
pub(super) async fn loss_scaling(
    gpu: &Gpu,
    recipe: &Recipe,
    schedule: &BufferSlice,
    checkpoint: Option<&Checkpoint>,
) -> Result<LossScaling, TrainError> {
    let scaling = LossScaling {
        state: gpu.buffer("loss scaling", 16).await?,
        schedule: schedule.clone(),
        adamw: recipe.optimiser(),
        micro_batches: recipe.train.accumulate,
    };
    let first = if recipe.is_mixed() { FIRST_SCALE } else { 1.0 };
    let step = checkpoint.map_or(0, |checkpoint| checkpoint.step);
    let begun = LossScaling::state_at(first, scaling.micro_batches, &scaling.adamw, step);
    let saved = checkpoint.map(Checkpoint::loss_scaling).transpose()?.flatten();
    gpu.upload(&scaling.state, &saved.unwrap_or(begun));
    Ok(scaling)
}
