//! How much memory a run will take, before it takes it.

use super::{Recipe, Slot, TrainError, decode_limit};
use crate::graph::{Caps, Graph, Layout, TensorType, Var};
use crate::mae::{self, MaeConfig};
use crate::nn::{Builder, param_bytes};
use crate::ops::{self, CropMode};

/// Estimated memory, bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Estimate {
    /// Weights, gradients and moments.
    pub parameters: u64,
    /// Activations and scratch.
    pub activations: u64,
    /// Pictures: those of a batch and, once data are open, those that stay on the device.
    pub pixels: u64,
    /// Most bytes of activations and scratch that live at one time: nothing can do with less.
    pub lower_bound: u64,
    /// Trained numbers.
    pub trained: u64,
    /// Floating-point operations of one micro-batch.
    pub flops: u64,
}

impl Estimate {
    /// All of it.
    pub fn bytes(&self) -> u64 {
        self.parameters + self.activations + self.pixels
    }

    /// The same with what a micro-batch as `layout` has it takes.
    pub(super) fn with(self, layout: &Layout) -> Estimate {
        Estimate {
            activations: layout.activation_bytes(),
            lower_bound: layout.lower_bound_bytes(),
            flops: layout.flops(),
            ..self
        }
    }
}

impl std::fmt::Display for Estimate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        write!(
            f,
            "{:.0} MiB ({:.0} parameters and optimiser, {:.0} activations, {:.0} pictures)",
            mib(self.bytes()),
            mib(self.parameters),
            mib(self.activations),
            mib(self.pixels)
        )
    }
}

/// The training graph of one micro-batch.
pub(super) struct TrainGraph {
    pub builder: Builder,
    pub loss: Var,
    /// Bytes of the pictures of a batch.
    pixels: u64,
}

impl TrainGraph {
    /// Pixels in slots in, loss and stored gradients out.
    pub fn build(recipe: &Recipe, slot: Slot) -> Result<TrainGraph, TrainError> {
        let config = &recipe.model;
        let batch = recipe.train.batch;
        let mut b = Builder::new().recomputing(recipe.train.recompute).mixed(recipe.is_mixed());
        let seed = b.graph.external("loss gradient", TensorType::f32(&[1]));
        let mode = match recipe.train.augment {
            super::Augment::RandomCrop => CropMode::PAPER,
            super::Augment::CentreCrop => CropMode::CentreSquare,
        };
        let (image, step) = slotted_images(&mut b.graph, config, batch, slot, mode)?;
        let masks = mae::random_masks(&mut b.graph, config, batch, step)?;
        let loss = mae::pretraining(&mut b, config, image, masks)?;
        b.store_gradients(loss, seed)?;
        Ok(TrainGraph { builder: b, loss, pixels: slot.bytes(batch) })
    }

    /// What can be read after a run.
    pub fn roots(&self) -> [Var; 1] {
        [self.loss]
    }

    /// What training `recipe` takes whatever the graph's layout.
    pub fn estimate(&self, recipe: &Recipe) -> Estimate {
        let params = self.builder.params();
        let trained = params.iter().filter(|spec| spec.trained).map(|spec| spec.len() as u64).sum();
        let copies = u64::from(recipe.train.accumulate > 1) + u64::from(recipe.train.ema_decay > 0.0);
        Estimate {
            parameters: param_bytes(params, true) + copies * trained * 4,
            pixels: self.pixels,
            trained,
            ..Estimate::default()
        }
    }
}

/// Pictures in slots as a model of `config` sees them, f32 `[batch, 3, S, S]`, and the random counter: the external tensors
/// `pixels`, `sizes` and `step`.
///
/// # Errors
/// Those of the shape rules.
pub fn slotted_images(
    graph: &mut Graph,
    config: &MaeConfig,
    batch: usize,
    slot: Slot,
    mode: CropMode,
) -> Result<(Var, Var), TrainError> {
    let pixels = graph.external("pixels", TensorType::u32(&[batch, slot.words]));
    let sizes = graph.external("sizes", TensorType::u32(&[batch, 4]));
    let step = graph.external("step", TensorType::u32(&[4]));
    let boxes = ops::crop_boxes(graph, sizes, step, mode)?;
    let rows = mode.most_rows(slot.rows, slot.short);
    let image = ops::resample(graph, pixels, sizes, boxes, config.image_size, rows, config.pixel_norm())?;
    Ok((image, step))
}

/// What `plan` makes of `most` pictures at a time, or of half as many again and again until every tensor is one that the
/// adapter binds: for what does not depend on how many come at a time. First how many those are.
///
/// # Errors
/// Those of `plan`, of a single picture where that is too large.
pub fn largest_batch<T>(
    most: usize,
    mut plan: impl FnMut(usize) -> Result<T, TrainError>,
) -> Result<(usize, T), TrainError> {
    let mut batch = most;
    loop {
        match plan(batch) {
            Err(error) if batch > 1 && error.is_too_large() => batch = batch.div_ceil(2),
            planned => return planned.map(|planned| (batch, planned)),
        }
    }
}

/// Estimates the memory of training `recipe` on an adapter with `caps`, pictures that stay on the device apart.
///
/// # Errors
/// [`TrainError::DoesNotFit`] where a tensor exceeds what the adapter can bind however small the pictures are, naming
/// model, batch and limit.
pub fn estimate(recipe: &Recipe, caps: Caps) -> Result<Estimate, TrainError> {
    let graph = TrainGraph::build(recipe, Slot::for_limit(decode_limit(recipe.model.image_size)))?;
    let estimate = graph.estimate(recipe);
    if let Ok(layout) = Layout::of(&graph.builder.graph, &graph.roots(), caps) {
        return Ok(estimate.with(&layout));
    }
    // The pictures may turn out to be small.
    let graph = TrainGraph::build(recipe, Slot::LEAST)?;
    match Layout::of(&graph.builder.graph, &graph.roots(), caps) {
        Ok(layout) => Ok(graph.estimate(recipe).with(&layout)),
        Err(error) => Err(TrainError::DoesNotFit {
            model: recipe.name.clone(),
            batch: recipe.train.batch,
            estimate: format!("{estimate} and more"),
            source: Box::new(error.into()),
        }),
    }
}
