//! Training for a script: some steps in one go, the page alive beside it.

use std::sync::Arc;

use serde::Deserialize;
use wasm_bindgen::prelude::*;

use crate::data::{self, SAMPLE};
use crate::gpu::{Gpu, Pace};
use crate::nn::State;
use crate::platform;
use crate::train::{Precision, Recipe, TrainError, Trainer, config_metadata};
use crate::weights::Tensors;

/// Shortest time between readings of losses, seconds: each waits for the device, which has nothing to do meanwhile.
const TELL_EVERY: f64 = 0.1;

/// What a script may set; the rest is as the preset has it, but for a warm-up of a tenth of the steps at most.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Options {
    model: String,
    steps: u64,
    batch: Option<usize>,
    blr: Option<f64>,
    mask_ratio: Option<f64>,
    pixel_budget: Option<u64>,
    precision: Precision,
    seed: u64,
    slice_ms: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            model: "micro".to_owned(),
            steps: 100,
            batch: None,
            blr: None,
            mask_ratio: None,
            pixel_budget: None,
            precision: Precision::F32,
            seed: 0,
            slice_ms: 8.0,
        }
    }
}

impl Options {
    fn recipe(&self) -> Result<Recipe, TrainError> {
        let mut recipe = Recipe::load(&self.model)?;
        let train = &mut recipe.train;
        train.steps = self.steps;
        train.warmup_steps = train.warmup_steps.min(self.steps / 10);
        train.seed = self.seed;
        train.batch = self.batch.unwrap_or(train.batch);
        train.pixel_budget = self.pixel_budget.unwrap_or(train.pixel_budget);
        train.precision = self.precision;
        train.blr = self.blr.unwrap_or(train.blr);
        recipe.model.mask_ratio = self.mask_ratio.unwrap_or(recipe.model.mask_ratio);
        recipe.check()?;
        Ok(recipe)
    }
}

/// A new model, trained on `files` or, where there are none, on the built-in photographs.
///
/// `progress` is called with step, steps and loss, and ends training where it returns `false`.
///
/// # Errors
/// What `progress` throws, as it is; else a `JsError`.
pub async fn train(
    gpu: &Arc<Gpu>,
    options: &Options,
    files: Vec<(String, Vec<u8>)>,
    progress: &js_sys::Function,
) -> Result<Tensors, JsValue> {
    let mut trainer = prepared(gpu, options, files).await?;
    let mut pace = Pace::default();
    pace.set(options.slice_ms / 1e3);
    let (mut stopped, mut told) = (false, f64::NEG_INFINITY);
    while trainer.step() < options.steps && !stopped {
        trainer.ready().await.map_err(JsError::from)?;
        let whole = trainer.advance_slice(pace.most()).map_err(JsError::from)?;
        pace.submitted(gpu).await.map_err(JsError::from)?;
        let due = trainer.is_full() || trainer.step() == options.steps || platform::now_seconds() - told >= TELL_EVERY;
        if whole && due {
            told = platform::now_seconds();
            // A step that went wrong is told after those before it.
            loop {
                let collected = trainer.collect().await.map_err(JsError::from)?;
                if collected.is_empty() {
                    break;
                }
                for metrics in collected {
                    let (step, steps) = (metrics.step as f64, options.steps as f64);
                    let answer = progress.call3(&JsValue::NULL, &step.into(), &steps.into(), &metrics.loss.into())?;
                    stopped |= answer.as_bool() == Some(false);
                }
            }
        }
        platform::pause().await;
    }
    Ok(trained(gpu, &trainer).await?)
}

/// A trainer at its first step.
async fn prepared(gpu: &Arc<Gpu>, options: &Options, files: Vec<(String, Vec<u8>)>) -> Result<Trainer, JsError> {
    let recipe = options.recipe()?;
    let (source, split) = match files.is_empty() {
        true => data::open_all(&[SAMPLE.to_owned()])?,
        false => {
            let source = data::open_given(files)?;
            let split = data::split(source.as_ref());
            (source, split)
        }
    };
    Ok(Trainer::new(gpu.clone(), recipe, source, &split, None).await?)
}

/// What `trainer` has learnt.
async fn trained(gpu: &Gpu, trainer: &Trainer) -> Result<Tensors, JsError> {
    let mut weights = trainer.store().save(gpu, State::Weights).await?;
    weights.path = "the trained model".to_owned();
    weights.metadata.extend(config_metadata(&trainer.recipe().model)?);
    weights.metadata.insert("step".to_owned(), trainer.step().to_string());
    Ok(weights)
}
