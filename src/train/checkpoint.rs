//! Checkpoints: weights, moments, step and settings in one safetensors file.

use std::path::Path;

use super::{Recipe, TrainError};
use crate::gpu::Gpu;
use crate::mae::MaeConfig;
use crate::nn::{ParamStore, State};
use crate::weights::{Storage, TensorSource, Tensors, WeightsError, read_tensors, tensor_bytes, write_tensors};

/// Prefixes of the moments' names.
const FIRST: &str = "adamw.first.";
const SECOND: &str = "adamw.second.";
/// What the format calls itself.
const FORMAT: &str = "unmask 1";

/// All that a run needs to go on with the same bits.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Settings.
    pub recipe: Recipe,
    /// Optimiser steps done.
    pub step: u64,
    /// Samples drawn.
    pub samples: u64,
    /// Weights by name.
    pub weights: Tensors,
    /// First moments by name.
    pub first: Tensors,
    /// Second moments by name.
    pub second: Tensors,
}

/// Metadata that says what model a file of weights is for.
pub fn config_metadata(config: &MaeConfig) -> Result<[(String, String); 2], TrainError> {
    let json = serde_json::to_string(config)
        .map_err(|error| TrainError::Recipe { path: "model".to_owned(), reason: error.to_string() })?;
    Ok([("format".to_owned(), FORMAT.to_owned()), ("model".to_owned(), json)])
}

/// The model that a file of weights is for.
///
/// # Errors
/// [`WeightsError::Metadata`] where the file does not say, or says something that is no model.
pub fn model_of(weights: &dyn TensorSource) -> Result<MaeConfig, TrainError> {
    let config: MaeConfig =
        serde_json::from_str(weights.text("model")?).map_err(|error| weights.bad_metadata("model", &error))?;
    config.check()?;
    Ok(config)
}

impl Checkpoint {
    /// All of it as tensors with metadata.
    fn to_tensors(&self) -> Result<Tensors, TrainError> {
        let mut all = self.weights.clone();
        for (prefix, moments) in [(FIRST, &self.first), (SECOND, &self.second)] {
            let renamed = moments.tensors.iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor.clone()));
            all.tensors.extend(renamed);
        }
        all.metadata.extend(config_metadata(&self.recipe.model)?);
        all.metadata.insert("recipe".to_owned(), self.recipe.to_toml()?);
        all.metadata.insert("step".to_owned(), self.step.to_string());
        all.metadata.insert("samples".to_owned(), self.samples.to_string());
        Ok(all)
    }

    /// Writes the checkpoint to `path`, whole or not at all.
    pub fn write(&self, path: &Path) -> Result<(), TrainError> {
        Ok(write_tensors(path, &self.to_tensors()?, Storage::F32)?)
    }

    /// The bytes of its file.
    pub fn to_bytes(&self) -> Result<Vec<u8>, TrainError> {
        Ok(tensor_bytes(&self.to_tensors()?, Storage::F32)?)
    }

    /// Reads a checkpoint from the bytes of its file; `name` names it in messages.
    ///
    /// # Errors
    /// As [`Checkpoint::read`].
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Checkpoint, TrainError> {
        Checkpoint::from_tensors(read_tensors(name, bytes)?)
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// A file that is torn, or that holds weights alone.
    pub fn read(path: &Path) -> Result<Checkpoint, TrainError> {
        Checkpoint::from_tensors(Tensors::open(path)?)
    }

    fn from_tensors(all: Tensors) -> Result<Checkpoint, TrainError> {
        let number = |key: &str| -> Result<u64, WeightsError> {
            all.text(key)?.parse().map_err(|error| all.bad_metadata(key, &error))
        };
        let (first, second) = (all.under(FIRST), all.under(SECOND));
        let mut weights = all.clone();
        weights.tensors.retain(|name, _| !name.starts_with(FIRST) && !name.starts_with(SECOND));
        Ok(Checkpoint {
            recipe: Recipe::parse(&all.path, all.text("recipe")?)?,
            step: number("step")?,
            samples: number("samples")?,
            weights,
            first,
            second,
        })
    }

    /// Puts weights and moments into `store`.
    pub fn restore(&self, gpu: &Gpu, store: &ParamStore) -> Result<(), TrainError> {
        store.load(gpu, State::Weights, &self.weights)?;
        store.load(gpu, State::First, &self.first)?;
        store.load(gpu, State::Second, &self.second)?;
        Ok(())
    }
}
