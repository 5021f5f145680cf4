//! One training step on random inputs, timed; weights and inputs follow from the seed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::{Estimate, Recipe, TrainError};
use crate::gpu::{BufferSlice, DispatchList, Gpu, Timestamps, TimestampsReading, Uploads};
use crate::graph::{Caps, GraphError, Layout, Plan, TensorType, Var};
use crate::mae;
use crate::nn::{Builder, ParamStore, State, Stream, param_bytes};
use crate::ops::{self, FIRST_SCALE, LossScaling, Peak, TileTime, global_norm_partials, push_global_norm};
use crate::platform;
use crate::weights::Tensors;

/// Time of one op in a step.
#[derive(Clone, Debug, Serialize)]
pub struct OpTime {
    /// The op.
    pub op: &'static str,
    /// Milliseconds a step.
    pub milliseconds: f64,
    /// Share of the sum over ops.
    pub share: f64,
    /// Arithmetic speed.
    pub gflops: f64,
    /// Memory speed, each tensor counted once a launch that binds it.
    pub gbytes_per_s: f64,
    /// Share of the adapter's peak, of arithmetic or of memory, whichever it is nearer to; where the peak is known.
    pub share_of_peak: Option<f64>,
}

/// Time of one op with one set of shapes in a step.
#[derive(Clone, Debug, Serialize)]
pub struct ShapeTime {
    /// The op.
    pub op: &'static str,
    /// Its kernel; the first where it has several.
    pub kernel: String,
    /// Shapes of what it reads.
    pub shapes: String,
    /// How often it runs in a step.
    pub times: usize,
    /// Milliseconds a step, all of them together.
    pub milliseconds: f64,
    /// Arithmetic speed.
    pub gflops: f64,
    /// Memory speed, as in [`OpTime`].
    pub gbytes_per_s: f64,
    /// Share of the adapter's peak, as in [`OpTime`].
    pub share_of_peak: Option<f64>,
}

/// What a benchmark found.
#[derive(Clone, Debug, Serialize)]
pub struct BenchResult {
    /// Loss of the first step.
    pub loss: f64,
    /// Median step, milliseconds.
    pub step_ms: f64,
    /// Steps timed.
    pub steps: usize,
    /// Pictures a second.
    pub images_per_s: f64,
    /// Arithmetic speed of the whole step.
    pub gflops: f64,
    /// Share of the adapter's arithmetic peak, where that is known.
    pub share_of_peak: Option<f64>,
    /// Bytes of all buffers.
    pub peak_bytes: u64,
    /// Kernel launches a step.
    pub dispatches: usize,
    /// Median milliseconds that the processor takes to encode a step.
    pub encode_ms: f64,
    /// Share of a step in which the device does nothing, where ops are timed.
    pub idle_share: Option<f64>,
    /// Milliseconds an op, most first, where asked for and the adapter has timestamps.
    pub ops: Vec<OpTime>,
    /// The same for each op and its shapes.
    pub shapes: Vec<ShapeTime>,
}

/// A training step ready to be timed.
pub struct Bench {
    gpu: Arc<Gpu>,
    recipe: Recipe,
    store: ParamStore,
    plan: Plan,
    loss: Var,
    update: DispatchList,
    schedule: BufferSlice,
    image: Vec<f32>,
    noise: Vec<f32>,
    estimate: Estimate,
    op_flops: std::collections::HashMap<&'static str, u64>,
}

impl Bench {
    /// Forward and backward for `recipe`.
    fn graph(recipe: &Recipe) -> Result<(Builder, Var), TrainError> {
        let config = &recipe.model;
        let (batch, side) = (recipe.train.batch, config.image_size);
        let mixed = recipe.is_mixed();
        let mut b = Builder::new().recomputing(recipe.train.recompute).mixed(mixed);
        let image = b.graph.external("image", TensorType::f32(&[batch, 3, side, side]));
        let noise = b.graph.external("noise", TensorType::f32(&[batch, config.patches()]));
        let seed = b.graph.external("loss gradient", TensorType::f32(&[1]));
        let masks = mae::given_masks(&mut b.graph, config, noise)?;
        let loss = mae::pretraining(&mut b, config, image, masks)?;
        b.store_gradients(loss, seed)?;
        Ok((b, loss))
    }

    /// What every tile takes for every matrix product of a step.
    ///
    /// # Errors
    /// A model that cannot be, and the device's.
    pub async fn tiles(gpu: &Gpu, recipe: &Recipe) -> Result<Vec<TileTime>, TrainError> {
        let (builder, loss) = Bench::graph(recipe)?;
        Ok(ops::time_tiles(gpu, &builder.graph, &[loss]).await?)
    }

    /// Builds forward, backward and optimiser for `recipe`, with weights, pictures and noise by its seed.
    ///
    /// # Errors
    /// [`TrainError::DoesNotFit`] where the adapter cannot bind it, a model that cannot be, and the device's.
    pub async fn new(gpu: Arc<Gpu>, recipe: &Recipe) -> Result<Bench, TrainError> {
        let config = &recipe.model;
        let (batch, side) = (recipe.train.batch, config.image_size);
        let mixed = recipe.is_mixed();
        let (mut b, loss) = Bench::graph(recipe)?;
        let roots = [loss];
        ops::tune(&gpu, &mut b.graph, &roots, None).await?;
        let fits = |error: GraphError| TrainError::DoesNotFit {
            model: recipe.name.clone(),
            batch,
            estimate: "more than one binding".to_owned(),
            source: Box::new(error.into()),
        };
        let layout = Layout::of(&b.graph, &roots, Caps::of(&gpu)).map_err(fits)?;
        let trained = b.params().iter().filter(|spec| spec.trained).map(|spec| spec.len() as u64).sum();
        let estimate = Estimate {
            parameters: param_bytes(b.params(), true),
            pixels: [3, side, side, 4].into_iter().fold(batch as u64, |bytes, count| bytes * count as u64),
            trained,
            ..Estimate::default()
        };
        let estimate = estimate.with(&layout);
        let store = ParamStore::new(&gpu, b.params(), true).await?;
        store.initialise(&gpu, recipe.train.seed);
        let mut externals = store.externals();
        let schedule = gpu.buffer("schedule", 16).await?;
        let scaling = LossScaling {
            state: gpu.buffer("loss scaling", 16).await?,
            schedule: schedule.clone(),
            adamw: recipe.optimiser(),
            micro_batches: 1,
        };
        let first = if mixed { FIRST_SCALE } else { 1.0 };
        gpu.upload(&scaling.state, &LossScaling::state_at(first, 1, &scaling.adamw, 0));
        externals.insert("loss gradient", scaling.state.part(0, 4));
        externals.allocate(&gpu, &b.graph).await?;
        let plan = Plan::new(&gpu, &b.graph, &layout, &roots, &externals).await?;

        let mut stream = Stream::new(recipe.train.seed, "bench image");
        let image: Vec<f32> = (0..batch * 3 * side * side).map(|_| stream.normal() as f32).collect();
        let mut stream = Stream::new(recipe.train.seed, "bench noise");
        let noise: Vec<f32> = (0..batch * config.patches()).map(|_| stream.unit() as f32).collect();
        for (name, values) in [("image", image.as_slice()), ("noise", &noise)] {
            gpu.upload(externals.need(name)?, values);
        }
        gpu.upload(&schedule, &recipe.optimiser().schedule(1e-4, 1));
        let norm = gpu.buffer("norm", 16).await?;
        let partials = gpu.buffer("partial norms", global_norm_partials(store.shard_lengths()) as u64 * 4).await?;
        let mut update = DispatchList::default();
        let shards = store.optimiser_shards();
        let gradients: Vec<BufferSlice> = shards.iter().map(|shard| shard.gradients.clone()).collect();
        push_global_norm(&gpu, &mut update, &gradients, &partials, &norm, 0.0, mixed.then_some(&scaling))?;
        for shard in &shards {
            recipe.optimiser().push(&gpu, &mut update, shard, &schedule, &norm)?;
        }
        let op_flops = layout.op_flops().clone();
        let recipe = recipe.clone();
        Ok(Bench { gpu, recipe, store, plan, loss, update, schedule, image, noise, estimate, op_flops })
    }

    /// Estimated memory.
    pub fn estimate(&self) -> &Estimate {
        &self.estimate
    }

    /// The dispatches of a step: forward and backward, then the optimiser.
    pub fn lists(&self) -> [&DispatchList; 2] {
        [self.plan.list(), &self.update]
    }

    async fn loss(&self) -> Result<f64, TrainError> {
        let loss: Vec<f32> = self.gpu.read_one("loss", self.plan.need(self.loss)?).await?;
        Ok(f64::from(loss[0]))
    }

    /// The whole optimiser step `t`, from 1, at the rate `lr`: its loss, once all of it is done.
    ///
    /// # Errors
    /// The device's.
    pub async fn step(&self, lr: f64, t: u64) -> Result<f64, TrainError> {
        self.gpu.upload(&self.schedule, &self.recipe.optimiser().schedule(lr, t));
        self.plan.run(&self.gpu);
        self.update.run(&self.gpu);
        // Reading the loss waits for all of the step.
        self.loss().await
    }

    /// Times `steps` steps after a first one that warms up, and each op where `ops`, as shares of `peak`.
    ///
    /// # Errors
    /// The device's.
    pub async fn time(&self, steps: usize, ops: bool, peak: Option<Peak>) -> Result<BenchResult, TrainError> {
        self.plan.run(&self.gpu);
        self.update.run(&self.gpu);
        // Waits for all of the first step, which touches memory for the first time.
        let loss = self.loss().await?;
        let (mut times, mut encoding) = (Vec::new(), Vec::new());
        for _ in 0..steps.max(1) {
            let start = platform::now_seconds();
            self.plan.run(&self.gpu);
            self.update.run(&self.gpu);
            // Reading the loss waits for all of the step.
            self.loss().await?;
            times.push((platform::now_seconds() - start) * 1e3);
            let start = platform::now_seconds();
            for list in self.lists() {
                drop(list.encode(&self.gpu, 0..list.dispatches.len()));
            }
            encoding.push((platform::now_seconds() - start) * 1e3);
        }
        let (step_ms, encode_ms) = (median(&mut times), median(&mut encoding));
        let readings = if ops { self.readings().await? } else { Vec::new() };
        let busy: f64 = readings.iter().map(|reading| reading.milliseconds).sum();
        let gflops = self.estimate.flops as f64 / step_ms / 1e6;
        Ok(BenchResult {
            loss,
            step_ms,
            steps: times.len(),
            images_per_s: self.recipe.train.batch as f64 / step_ms * 1e3,
            gflops,
            share_of_peak: peak.map(|peak| gflops / peak.gflops),
            peak_bytes: self.estimate.bytes(),
            dispatches: self.plan.list().dispatches.len() + self.update.dispatches.len(),
            encode_ms,
            idle_share: (busy > 0.0).then(|| (1.0 - busy / step_ms).max(0.0)),
            ops: self.op_times(&readings, peak),
            shapes: shape_times(&readings, peak),
        })
    }

    /// What every dispatch of a step takes.
    async fn readings(&self) -> Result<Vec<TimestampsReading>, TrainError> {
        let mut readings = Vec::new();
        for list in [self.plan.list(), &self.update] {
            readings.extend(Timestamps::measure(&self.gpu, list).await?.unwrap_or_default());
        }
        Ok(readings)
    }

    fn op_times(&self, readings: &[TimestampsReading], peak: Option<Peak>) -> Vec<OpTime> {
        // Milliseconds and bytes.
        let mut sums: BTreeMap<&'static str, (f64, u64)> = BTreeMap::new();
        for reading in readings {
            let sum = sums.entry(reading.op).or_default();
            sum.0 += reading.milliseconds;
            sum.1 += reading.bytes;
        }
        let total: f64 = sums.values().map(|(ms, _)| ms).sum();
        let gflops = |op: &str, ms: f64| self.op_flops.get(op).map_or(0.0, |flops| *flops as f64 / ms / 1e6);
        let mut times: Vec<OpTime> = sums
            .into_iter()
            .map(|(op, (ms, bytes))| {
                let (gflops, gbytes_per_s) = (gflops(op, ms), bytes as f64 / ms / 1e6);
                let share_of_peak = share_of_peak(peak, gflops, gbytes_per_s);
                OpTime { op, milliseconds: ms, share: ms / total, gflops, gbytes_per_s, share_of_peak }
            })
            .collect();
        times.sort_by(|a, b| b.milliseconds.total_cmp(&a.milliseconds));
        times
    }

    /// Weights as they were initialised, inputs, and the loss of the first step.
    ///
    /// `param/NAME`, `input/pixel_values`, `input/noise` and `expect/loss`, as in a golden case.
    ///
    /// # Errors
    /// The device's.
    pub async fn dump(&self) -> Result<Tensors, TrainError> {
        let (config, batch) = (&self.recipe.model, self.recipe.train.batch);
        self.store.initialise(&self.gpu, self.recipe.train.seed);
        self.plan.run(&self.gpu);
        let loss = self.loss().await?;
        let weights = self.store.save(&self.gpu, State::Weights).await?;
        let mut tensors = Tensors::default();
        for (name, tensor) in weights.tensors {
            tensors.tensors.insert(format!("param/{name}"), tensor);
        }
        let side = config.image_size;
        tensors.insert("input/pixel_values", &[batch, 3, side, side], self.image.clone());
        tensors.insert("input/noise", &[1, batch, config.patches()], self.noise.clone());
        tensors.insert("expect/loss", &[1], vec![loss as f32]);
        tensors.metadata.extend(super::config_metadata(config)?);
        Ok(tensors)
    }
}

/// The median of `values`, of an even number of them the mean of the two in the middle; no number where there are none.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = [values.len().saturating_sub(1) / 2, values.len() / 2].map(|at| values.get(at).copied());
    let [Some(low), Some(high)] = middle else { return f64::NAN };
    low.midpoint(high)
}

/// Share of the peak of arithmetic or of memory, whichever is larger.
fn share_of_peak(peak: Option<Peak>, gflops: f64, gbytes_per_s: f64) -> Option<f64> {
    peak.map(|peak| (gflops / peak.gflops).max(gbytes_per_s / peak.gbytes_per_s))
}

/// Readings summed by op and shapes, most time first.
fn shape_times(readings: &[TimestampsReading], peak: Option<Peak>) -> Vec<ShapeTime> {
    let mut groups: BTreeMap<(&'static str, &str), (ShapeTime, u64, u64)> = BTreeMap::new();
    for reading in readings {
        let (group, flops, bytes) = groups.entry((reading.op, &reading.work.shapes)).or_insert_with(|| {
            let group = ShapeTime {
                op: reading.op,
                kernel: reading.kernel.clone(),
                shapes: reading.work.shapes.clone(),
                times: 0,
                milliseconds: 0.0,
                gflops: 0.0,
                gbytes_per_s: 0.0,
                share_of_peak: None,
            };
            (group, 0, 0)
        });
        // Further dispatches of an op are no further runs of it.
        group.times += usize::from(reading.kernel == group.kernel);
        group.milliseconds += reading.milliseconds;
        *flops += reading.work.flops;
        *bytes += reading.bytes;
    }
    let mut groups: Vec<ShapeTime> = groups
        .into_values()
        .map(|(group, flops, bytes)| {
            let rate = |amount: u64| amount as f64 / group.milliseconds.max(1e-9) / 1e6;
            let (gflops, gbytes_per_s) = (rate(flops), rate(bytes));
            ShapeTime { gflops, gbytes_per_s, share_of_peak: share_of_peak(peak, gflops, gbytes_per_s), ..group }
        })
        .collect();
    groups.sort_by(|a, b| b.milliseconds.total_cmp(&a.milliseconds));
    groups
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_lies_in_the_middle() {
        let medians = [&mut [3.0, 1.0, 2.0][..], &mut [4.0, 1.0, 3.0, 2.0], &mut [7.0]].map(median);
        assert_eq!(medians, [2.0, 2.5, 7.0]);
        assert!(median(&mut []).is_nan());
    }
}
