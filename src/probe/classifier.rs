//! A linear classifier of features, on the device.

use std::sync::Arc;

use super::accuracy::place;
use super::{Accuracy, Samples, Standard};
use crate::data::Sampler;
use crate::gpu::{BufferSlice, DispatchList, Gpu, Uploads};
use crate::graph::{Plan, TensorType};
use crate::nn::{Builder, Init, ParamSpec, ParamStore};
use crate::ops::{self, AdamW, global_norm_partials, push_global_norm};
use crate::platform;
use crate::train::{Schedule, TrainError};

/// Deviation of the initial weights, as in the reference's linear probe.
const INIT: f64 = 0.01;
/// Steps between which the device is waited for.
const AT_ONCE: u64 = 32;

/// `softmax(x Wᵀ + b)` of standardised features `x`, trained by AdamW without weight decay.
#[derive(Debug)]
pub struct Classifier {
    gpu: Arc<Gpu>,
    batch: usize,
    width: usize,
    classes: usize,
    plan: Plan,
    update: DispatchList,
    x: BufferSlice,
    labels: BufferSlice,
    logits: BufferSlice,
    loss: BufferSlice,
    schedule: BufferSlice,
    adamw: AdamW,
    standard: Standard,
    seed: u64,
}

impl Classifier {
    /// For features of `width` numbers, which `standard` standardises, and `classes` classes, `batch` samples a step.
    ///
    /// # Errors
    /// The device's.
    pub async fn new(
        gpu: Arc<Gpu>,
        [width, classes, batch]: [usize; 3],
        standard: Standard,
        seed: u64,
    ) -> Result<Classifier, TrainError> {
        let mut b = Builder::new();
        let x = b.graph.external("x", TensorType::f32(&[batch, width]));
        let labels = b.graph.external("labels", TensorType::u32(&[batch]));
        let one = b.graph.external("loss gradient", TensorType::f32(&[1, 1]));
        let shape = [classes, width];
        let weight = b.param(ParamSpec::new("head.weight", &shape, &shape, Init::Normal { std: INIT }));
        let bias = b.param(ParamSpec::new("head.bias", &[classes], &[classes], Init::Zeros));
        let logits = b.affine(x, weight, bias)?;
        let loss = ops::cross_entropy(&mut b.graph, logits, labels)?;
        b.store_gradients(loss, one)?;
        let store = ParamStore::new(&gpu, b.params(), true).await?;
        store.initialise(&gpu, seed);
        let mut inputs = store.externals();
        let plan = Plan::build(&gpu, &b.graph, &[logits, loss], &mut inputs).await?;
        gpu.upload(inputs.need("loss gradient")?, &[1.0f32]);

        let adamw = AdamW { weight_decay: 0.0, ..AdamW::default() };
        let schedule = gpu.buffer("schedule", 16).await?;
        let norm = gpu.buffer("norm", 16).await?;
        let partials = gpu.buffer("partial norms", global_norm_partials(store.shard_lengths()) as u64 * 4).await?;
        let shards = store.optimiser_shards();
        let gradients: Vec<BufferSlice> = shards.iter().map(|shard| shard.gradients.clone()).collect();
        let mut update = DispatchList::default();
        push_global_norm(&gpu, &mut update, &gradients, &partials, &norm, 0.0, None)?;
        for shard in &shards {
            adamw.push(&gpu, &mut update, shard, &schedule, &norm)?;
        }
        let [logits, loss] = [plan.need(logits)?, plan.need(loss)?].map(Clone::clone);
        let [x, labels] = [inputs.need("x")?, inputs.need("labels")?].map(Clone::clone);
        Ok(Classifier {
            gpu,
            batch,
            width,
            classes,
            plan,
            update,
            x,
            labels,
            logits,
            loss,
            schedule,
            adamw,
            standard,
            seed,
        })
    }

    /// Trains on those of `samples` that `chosen` tells, of which there is one at least, for `epochs` passes at a rate that
    /// rises to `lr` over a tenth of them and falls along a cosine; `progress` is called after each step. The loss of the last
    /// step.
    ///
    /// # Errors
    /// The device's.
    pub async fn train(
        &mut self,
        samples: &Samples,
        chosen: &[usize],
        epochs: u64,
        lr: f64,
        mut progress: impl FnMut(),
    ) -> Result<f64, TrainError> {
        let steps = self.steps(chosen.len(), epochs);
        let schedule = Schedule { lr, min_lr: 0.0, warmup: steps / 10, steps };
        let sampler = Sampler::new(chosen.len(), self.seed);
        for step in 0..steps {
            let drawn = (0..self.batch as u64).map(|place| chosen[sampler.index(step * self.batch as u64 + place)]);
            self.submit(samples, drawn);
            self.gpu.upload(&self.schedule, &self.adamw.schedule(schedule.at(step), step + 1));
            self.update.run(&self.gpu);
            if step % AT_ONCE == AT_ONCE - 1 {
                platform::pause().await;
                self.last_loss().await?;
            }
            progress();
        }
        self.last_loss().await
    }

    /// Steps of `epochs` passes over `count` samples.
    pub fn steps(&self, count: usize, epochs: u64) -> u64 {
        (count as u64).saturating_mul(epochs).div_ceil(self.batch as u64).max(1)
    }

    async fn last_loss(&self) -> Result<f64, TrainError> {
        let loss: Vec<f32> = self.gpu.read_one("loss", &self.loss).await?;
        Ok(loss.first().copied().map_or(f64::NAN, f64::from))
    }

    /// How often the classes of those of `samples` are told that `chosen` tells.
    ///
    /// # Errors
    /// The device's.
    pub async fn accuracy(&self, samples: &Samples, chosen: &[usize]) -> Result<Accuracy, TrainError> {
        let mut places = Vec::with_capacity(chosen.len());
        for some in chosen.chunks(self.batch) {
            platform::pause().await;
            // A last batch that is not full wraps around; only its own rows count.
            self.submit(samples, some.iter().copied().cycle().take(self.batch));
            let logits: Vec<f32> = self.gpu.read_one("logits", &self.logits).await?;
            let rows = logits.chunks(self.classes).zip(some);
            places.extend(rows.map(|(scores, index)| place(scores, samples.classes[*index])));
        }
        Ok(Accuracy::of(&places))
    }

    /// Computes logits, loss and gradients of the samples `indices`, a batch of them.
    fn submit(&self, samples: &Samples, indices: impl Iterator<Item = usize>) {
        let (mut rows, mut labels) = (Vec::with_capacity(self.batch * self.width), Vec::with_capacity(self.batch));
        for index in indices {
            rows.extend(self.standard.apply(samples.features.row(index)));
            labels.push(samples.classes[index] as u32);
        }
        self.gpu.upload(&self.x, &rows);
        self.gpu.upload(&self.labels, &labels);
        self.plan.run(&self.gpu);
    }
}
