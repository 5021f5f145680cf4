//! How much memory a run will take, before it takes it.

use super::{Precision, Recipe, TrainError};
use crate::graph::{Caps, Layout, TensorType, Var};
use crate::mae::{self, MaeVars};
use crate::nn::{Builder, param_bytes};
use crate::ops::{self, CropMode};

/// Estimated memory, bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Estimate {
    /// Weights, gradients and moments.
    pub parameters: u64,
    /// Activations and scratch.
    pub activations: u64,
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
        self.parameters + self.activations
    }
}

impl std::fmt::Display for Estimate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        write!(
            f,
            "{:.0} MiB ({:.0} parameters and optimiser, {:.0} activations)",
            mib(self.bytes()),
            mib(self.parameters),
            mib(self.activations)
        )
    }
}

/// The training graph of one micro-batch.
pub(super) struct TrainGraph {
    pub builder: Builder,
    pub vars: MaeVars,
}

impl TrainGraph {
    /// Pixels in, loss and stored gradients out; `slot` as [`super::Feed::slot`] tells it.
    pub fn build(recipe: &Recipe, (slot, max_height): (usize, usize)) -> Result<TrainGraph, TrainError> {
        let config = &recipe.model;
        let batch = recipe.train.batch;
        let mut b =
            Builder::new().recomputing(recipe.train.recompute).mixed(recipe.train.precision == Precision::Mixed);
        let pixels = b.graph.external("pixels", TensorType::u32(&[batch, slot]));
        let sizes = b.graph.external("sizes", TensorType::u32(&[batch, 4]));
        let step = b.graph.external("step", TensorType::u32(&[4]));
        let seed = b.graph.external("loss gradient", TensorType::f32(&[1]));
        let mode = match recipe.train.augment {
            super::Augment::RandomCrop => CropMode::PAPER,
            super::Augment::CentreCrop => CropMode::CentreSquare,
        };
        let boxes = ops::crop_boxes(&mut b.graph, sizes, step, mode)?;
        let image =
            ops::resample(&mut b.graph, pixels, sizes, boxes, config.image_size, max_height, config.pixel_norm())?;
        let masks = mae::random_masks(&mut b.graph, config, batch, step)?;
        let vars = mae::autoencoder(&mut b, config, image, masks)?;
        b.store_gradients(vars.loss, seed)?;
        Ok(TrainGraph { builder: b, vars })
    }

    /// What can be read after a run.
    pub fn roots(&self) -> [Var; 1] {
        [self.vars.loss]
    }
}

/// Estimates the memory of training `recipe` on an adapter with `caps`.
///
/// # Errors
/// [`TrainError::DoesNotFit`] where a tensor exceeds what the adapter can bind, naming model, batch and limit.
pub fn estimate(recipe: &Recipe, caps: Caps) -> Result<Estimate, TrainError> {
    let side = recipe.model.image_size;
    let graph = TrainGraph::build(recipe, (side * side * 4, side * 2))?;
    let trained = graph.builder.params().iter().filter(|spec| spec.trained).map(|spec| spec.len() as u64).sum();
    let accumulate = if recipe.train.accumulate > 1 { trained * 4 } else { 0 };
    let average = if recipe.train.ema_decay > 0.0 { trained * 4 } else { 0 };
    let mut estimate = Estimate {
        parameters: param_bytes(graph.builder.params(), true) + accumulate + average,
        trained,
        ..Estimate::default()
    };
    match Layout::of(&graph.builder.graph, &graph.roots(), caps) {
        Ok(layout) => {
            estimate.activations = layout.activation_bytes();
            estimate.lower_bound = layout.lower_bound_bytes();
            estimate.flops = layout.flops();
            Ok(estimate)
        }
        Err(error) => Err(TrainError::DoesNotFit {
            model: recipe.name.clone(),
            batch: recipe.train.batch,
            estimate: format!("{estimate} and more"),
            source: Box::new(error.into()),
        }),
    }
}
