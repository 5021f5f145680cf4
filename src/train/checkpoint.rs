//! Checkpoints: weights, moments, step and settings in one safetensors file.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Recipe, TrainError};
use crate::gpu::Gpu;
use crate::graph::Choices;
use crate::mae::MaeConfig;
use crate::nn::{ParamStore, State};
use crate::weights::{
    Storage, Tensor, TensorSource, Tensors, WeightsError, open_weights, parts_bytes, read_tensors, write_parts,
};

/// Prefixes of the names of what is kept beside weights.
const FIRST: &str = "adamw.first.";
const SECOND: &str = "adamw.second.";
const AVERAGE: &str = "average.";
/// What the format calls itself: how all of its versions begin, and those without and with a checksum of everything in
/// the file.
const OWN: &str = "unmask ";
const FORMAT: &str = "unmask 1";
const CHECKED: &str = "unmask 2";
const CHECKSUM: &str = "checksum";
const TILES: &str = "tiles";
const LOSS_SCALING: &str = "loss_scaling";

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
    /// Averages of the weights by name, where the run keeps them.
    pub average: Option<Tensors>,
    /// Loss on held-out pictures, where it was measured at this step.
    pub held_out_loss: Option<f64>,
}

impl Checkpoint {
    /// A name for a file of it.
    pub fn file_name(&self) -> String {
        format!("{}-step-{}.safetensors", self.recipe.short_name(), self.step)
    }
}

/// Metadata that says what model a file of weights is for.
///
/// # Errors
/// [`TrainError::Recipe`] for a model that JSON cannot hold.
pub fn config_metadata(config: &MaeConfig) -> Result<[(String, String); 2], TrainError> {
    let json = serde_json::to_string(config)
        .map_err(|error| TrainError::Recipe { path: "model".to_owned(), reason: error.to_string() })?;
    Ok([("format".to_owned(), FORMAT.to_owned()), ("model".to_owned(), json)])
}

/// Whether `weights` are in this program's format, and so say what model they are for.
pub(super) fn is_own(weights: &dyn TensorSource) -> bool {
    weights.metadata().get("format").is_some_and(|format| format.starts_with(OWN))
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

/// Metadata that says which kernels made a run, so that it goes on with them.
pub(super) fn tiles_metadata(tiles: &Choices) -> Option<(String, String)> {
    let json = serde_json::to_string(tiles).ok().filter(|_| !tiles.is_empty())?;
    Some((TILES.to_owned(), json))
}

/// Metadata that says where the scaling of the loss stands, see [`crate::ops::LossScaling`].
pub(super) fn loss_scaling_metadata(state: &[f32]) -> (String, String) {
    let numbers: Vec<String> = state.iter().map(f32::to_string).collect();
    (LOSS_SCALING.to_owned(), numbers.join(" "))
}

impl Checkpoint {
    /// Where the scaling of the loss stood, in a run of mixed precision.
    pub(super) fn loss_scaling(&self) -> Result<Option<[f32; 4]>, TrainError> {
        let Some(text) = self.weights.metadata.get(LOSS_SCALING) else { return Ok(None) };
        let bad = || self.weights.bad_metadata(LOSS_SCALING, &format!("\"{text}\", expected four numbers"));
        let numbers: Vec<f32> = text.split(' ').filter_map(|word| word.parse().ok()).collect();
        let state = match *numbers.as_slice() {
            // Files from before skipped steps stopped counting.
            [gradient, steps] => {
                let [first, second] = self.recipe.optimiser().powers(self.step).map(|power| power as f32);
                [gradient, steps, first, second]
            }
            [gradient, steps, first, second] => [gradient, steps, first, second],
            _ => return Err(bad().into()),
        };
        let is_sound = state[0] > 0.0 && state[0].is_finite() && state[2..].iter().all(|x| (0.0..=1.0).contains(x));
        is_sound.then_some(Some(state)).ok_or_else(|| bad().into())
    }

    /// Which tiles the run used, where it chose any.
    pub(super) fn tiles(&self) -> Result<Choices, TrainError> {
        let Some(json) = self.weights.metadata.get(TILES) else { return Ok(Choices::new()) };
        Ok(serde_json::from_str(json).map_err(|error| self.weights.bad_metadata(TILES, &error))?)
    }

    /// Whether every number in it is one.
    pub fn is_finite(&self) -> bool {
        let mut tensors = self.parts().into_iter().flat_map(|(_, part)| part.tensors.values());
        tensors.all(|tensor| tensor.data.iter().all(|x| x.is_finite()))
    }

    /// Everything by the prefix of its names.
    fn parts(&self) -> Vec<(&str, &Tensors)> {
        let mut parts = vec![("", &self.weights), (FIRST, &self.first), (SECOND, &self.second)];
        parts.extend(self.average.as_ref().map(|average| (AVERAGE, average)));
        parts
    }

    fn metadata(&self) -> Result<BTreeMap<String, String>, TrainError> {
        let mut metadata = self.weights.metadata.clone();
        metadata.extend(config_metadata(&self.recipe.model)?);
        metadata.insert("format".to_owned(), CHECKED.to_owned());
        metadata.insert("recipe".to_owned(), self.recipe.to_toml()?);
        metadata.insert("step".to_owned(), self.step.to_string());
        metadata.insert("samples".to_owned(), self.samples.to_string());
        if let Some(loss) = self.held_out_loss {
            metadata.insert("held_out_loss".to_owned(), loss.to_string());
        }
        metadata.remove(CHECKSUM);
        let mut checksum = Checksum::default();
        for (prefix, part) in self.parts() {
            part.tensors.iter().for_each(|(name, tensor)| checksum.add_tensor(&format!("{prefix}{name}"), tensor));
        }
        let checksum = checksum.with(&metadata);
        metadata.insert(CHECKSUM.to_owned(), checksum);
        Ok(metadata)
    }

    /// Writes the checkpoint to `path`, whole or not at all.
    ///
    /// # Errors
    /// The system's, such as a full disk, naming the file; what stood there before stays whole.
    pub fn write(&self, path: &Path) -> Result<(), TrainError> {
        Ok(write_parts(path, &self.parts(), self.metadata()?, Storage::F32)?)
    }

    /// The bytes of its file.
    ///
    /// # Errors
    /// A recipe that cannot be written as TOML.
    pub fn to_bytes(&self) -> Result<Vec<u8>, TrainError> {
        Ok(parts_bytes(Path::new("a checkpoint"), &self.parts(), self.metadata()?, Storage::F32)?)
    }

    /// Whether `weights` say that they are a run's state, not weights alone.
    pub fn is_in(weights: &dyn TensorSource) -> bool {
        weights.metadata().contains_key("recipe")
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
    /// A file that is torn or altered, or that holds weights alone.
    pub fn read(path: &Path) -> Result<Checkpoint, TrainError> {
        Checkpoint::from_tensors(open_weights(path)?.read_all()?)
    }

    fn from_tensors(mut all: Tensors) -> Result<Checkpoint, TrainError> {
        if !Checkpoint::is_in(&all) {
            let reason = "is no checkpoint of a run: it does not tell the run's recipe".to_owned();
            return Err(WeightsError::Layout { path: all.path, reason }.into());
        }
        let recipe = Recipe::parse(&all.path, all.text("recipe")?)?;
        check_content(&all)?;
        let mut part = |prefix: &str| -> Tensors {
            let taken = all.tensors.extract_if(.., |name, _| name.starts_with(prefix));
            let renamed = taken.map(|(name, tensor)| (name[prefix.len()..].to_owned(), tensor)).collect();
            Tensors { path: all.path.clone(), tensors: renamed, metadata: BTreeMap::new() }
        };
        let (first, second, average) = (part(FIRST), part(SECOND), part(AVERAGE));
        let weights = all;
        let number = |key: &str| -> Result<u64, WeightsError> {
            weights.text(key)?.parse().map_err(|error| weights.bad_metadata(key, &error))
        };
        let held_out_loss = match weights.metadata.get("held_out_loss") {
            Some(loss) => Some(loss.parse().map_err(|error| weights.bad_metadata("held_out_loss", &error))?),
            None => None,
        };
        Ok(Checkpoint {
            recipe,
            step: number("step")?,
            samples: number("samples")?,
            first,
            second,
            average: (!average.tensors.is_empty()).then_some(average),
            held_out_loss,
            weights,
        })
    }

    /// Puts weights and moments into `store`.
    ///
    /// # Errors
    /// A tensor that is missing or of another shape than in `store`, by name.
    pub fn restore(&self, gpu: &Gpu, store: &ParamStore) -> Result<(), TrainError> {
        store.load(gpu, State::Weights, &self.weights)?;
        store.load(gpu, State::First, &self.first)?;
        store.load(gpu, State::Second, &self.second)?;
        if let Some(average) = &self.average {
            store.load(gpu, State::Average, average)?;
        }
        Ok(())
    }
}

/// Fails where a file of this program is not what was written, tensor by tensor: a large one never lies in memory as a
/// whole.
///
/// # Errors
/// [`WeightsError::Metadata`] for a checksum that is wrong or missing, and what reading gives.
pub(super) fn check_content(weights: &dyn TensorSource) -> Result<(), TrainError> {
    // Files of before there were checksums have none.
    if weights.text("format")? == FORMAT {
        return Ok(());
    }
    let mut metadata = weights.metadata().clone();
    let written = metadata.remove(CHECKSUM).ok_or_else(|| weights.bad_metadata(CHECKSUM, &"is missing"))?;
    let part = |name: &str| [FIRST, SECOND, AVERAGE].iter().position(|prefix| name.starts_with(prefix));
    let mut names: Vec<&str> = weights.shapes().into_iter().map(|(name, _)| name).collect();
    // As they were written: weights first, each part by name.
    names.sort_by_key(|name| part(name));
    let mut checksum = Checksum::default();
    for name in names {
        checksum.add_tensor(name, &weights.read(name)?);
    }
    let found = checksum.with(&metadata);
    if written != found {
        let reason = format!("says {written}, but the content gives {found}: the file was altered");
        return Err(weights.bad_metadata(CHECKSUM, &reason).into());
    }
    Ok(())
}

/// CRC-32C of names, shapes and numbers of all tensors, and of the metadata.
#[derive(Default)]
struct Checksum(u32);

impl Checksum {
    fn add(&mut self, bytes: &[u8]) {
        self.0 = crc32c::crc32c_append(self.0, bytes);
    }

    fn add_tensor(&mut self, name: &str, tensor: &Tensor) {
        self.add(format!("{name} {:?}\n", tensor.shape).as_bytes());
        match cfg!(target_endian = "little") {
            true => self.add(bytemuck::cast_slice(&tensor.data)),
            false => tensor.data.iter().for_each(|x| self.add(&x.to_le_bytes())),
        }
    }

    /// The checksum of all that was added, and of `metadata`.
    fn with(mut self, metadata: &BTreeMap<String, String>) -> String {
        for (key, text) in metadata {
            self.add(format!("{key}={text}\n").as_bytes());
        }
        format!("crc32c:{:08x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(loss_scaling: &str) -> Result<Option<[f32; 4]>, TrainError> {
        let mut weights = Tensors::default();
        weights.metadata.insert(LOSS_SCALING.to_owned(), loss_scaling.to_owned());
        Checkpoint {
            recipe: Recipe::default(),
            step: 2,
            samples: 0,
            weights,
            first: Tensors::default(),
            second: Tensors::default(),
            average: None,
            held_out_loss: None,
        }
        .loss_scaling()
    }

    #[test]
    fn weights_alone_are_no_checkpoint() {
        let weights = Tensors { path: "e.safetensors".to_owned(), ..Tensors::default() };
        let text = Checkpoint::from_tensors(weights).expect_err("weights alone").to_string();
        assert!(text.starts_with("e.safetensors: is no checkpoint of a run: "), "{text}");
    }

    #[test]
    fn the_scaling_of_the_loss_is_read_back() {
        let state = [32_768.0, 7.0, 0.729, 0.857_375];
        assert_eq!(read(&loss_scaling_metadata(&state).1).expect("a state"), Some(state));
        // Two steps by betas of 0.9 and 0.95, in a file that does not say.
        let [gradient, steps, first, second] = read("32768 7").expect("a state").expect("mixed precision");
        assert_eq!([gradient, steps], [32_768.0, 7.0]);
        assert!((first - 0.81).abs() < 1e-6 && (second - 0.9025).abs() < 1e-6, "{first} {second}");
        for wrong in ["", "32768", "0 7", "inf 7 0.5 0.5", "32768 7 1.5 0.5", "32768 7 0.5 NaN"] {
            assert!(read(wrong).expect_err(wrong).to_string().contains("expected four numbers"), "{wrong}");
        }
    }
}
