//! Parameters in GPU memory: weights, gradients and AdamW moments in flat shards.

use std::ops::Range;

use super::{Builder, ParamSpec};
use crate::gpu::{BufferSlice, DispatchList, Gpu, GpuError, Uploads};
use crate::graph::{DType, Externals, ShardLayout, Shards};
use crate::ops::{AdamWShard, DECAY_BLOCK, push_cast};
use crate::weights::{TensorSource, Tensors, WeightsError};

/// Bytes that are copied to or from the device at one time, so that neither buffers between nor main memory hold a large
/// model once more.
const MOST_WAITING: u64 = 64 << 20;

/// Which of the state kept for every weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The weights.
    Weights,
    /// AdamW's first moments.
    First,
    /// AdamW's second moments.
    Second,
    /// The gradients of the last step.
    Gradients,
    /// Averages of the weights over steps.
    Average,
}

/// What training needs beside weights.
#[derive(Debug)]
struct TrainingState {
    gradients: Shards,
    first: Shards,
    second: Shards,
    average: Option<Shards>,
    decays: Vec<BufferSlice>,
}

/// The parameters of one model on one device.
#[derive(Debug)]
pub struct ParamStore {
    specs: Vec<ParamSpec>,
    trained: ShardLayout,
    fixed: ShardLayout,
    weights: Shards,
    tables: Shards,
    halves: Option<Halves>,
    training: Option<TrainingState>,
}

/// The weights in 16 bits.
#[derive(Debug)]
struct Halves {
    shards: Shards,
    /// Makes them anew of the weights; the optimiser does so by itself.
    refresh: DispatchList,
}

/// Bytes that a model's parameters take, for estimates.
pub fn param_bytes(specs: &[ParamSpec], training: bool) -> u64 {
    let bytes = |trained: bool| -> u64 {
        specs.iter().filter(|spec| spec.trained == trained).map(|spec| spec.len() as u64 * 4).sum()
    };
    let halves = if specs.iter().any(|spec| spec.halved) { bytes(true) / 2 } else { 0 };
    bytes(false) + bytes(true) * if training { 4 } else { 1 } + halves
}

impl ParamStore {
    /// Zeroed memory for `specs`, with gradients and moments where `training`.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] for a parameter beyond one binding, and the device's own.
    pub async fn new(gpu: &Gpu, specs: &[ParamSpec], training: bool) -> Result<ParamStore, GpuError> {
        let layout = |trained: bool| {
            let tensors =
                specs.iter().filter(|spec| spec.trained == trained).map(|spec| (spec.name.as_str(), spec.len()));
            ShardLayout::new(tensors, gpu.max_binding()).map_err(|(label, bytes)| GpuError::TooLarge {
                label,
                bytes,
                adapter: gpu.name().to_owned(),
                limit: gpu.max_binding(),
            })
        };
        let (trained, fixed) = (layout(true)?, layout(false)?);
        let weights = trained.allocate(gpu, "weights", DType::F32).await?;
        let tables = fixed.allocate(gpu, "tables", DType::F32).await?;
        let halves = match specs.iter().any(|spec| spec.halved) {
            true => {
                let shards = trained.allocate(gpu, "weights in 16 bits", DType::F16).await?;
                let mut refresh = DispatchList::default();
                for (weights, halves) in weights.buffers.iter().zip(&shards.buffers) {
                    push_cast(gpu, &mut refresh, weights, halves)?;
                }
                Some(Halves { shards, refresh })
            }
            false => None,
        };
        let training = if training {
            let mut decays = Vec::new();
            for flags in decay_flags(specs, &trained) {
                let slice = gpu.buffer("decays", flags.len() as u64 * 4).await?;
                gpu.upload(&slice, &flags);
                decays.push(slice);
            }
            Some(TrainingState {
                gradients: trained.allocate(gpu, "gradients", DType::F32).await?,
                first: trained.allocate(gpu, "first moments", DType::F32).await?,
                second: trained.allocate(gpu, "second moments", DType::F32).await?,
                average: None,
                decays,
            })
        } else {
            None
        };
        Ok(ParamStore { specs: specs.to_vec(), trained, fixed, weights, tables, halves, training })
    }

    /// Sets memory aside for averages of the weights.
    ///
    /// # Errors
    /// The device's.
    pub async fn keep_average(&mut self, gpu: &Gpu) -> Result<(), GpuError> {
        if let Some(training) = &mut self.training {
            training.average = Some(self.trained.allocate(gpu, "averages", DType::F32).await?);
        }
        Ok(())
    }

    /// Lets the averages begin with the weights as they are.
    pub fn begin_average(&self, gpu: &Gpu) {
        for [weights, average] in self.average_shards() {
            gpu.copy(&weights, &average);
        }
    }

    /// Weights and averages of each shard; none where no averages are kept.
    pub fn average_shards(&self) -> Vec<[BufferSlice; 2]> {
        let average = self.training.as_ref().and_then(|training| training.average.as_ref());
        let Some(average) = average else { return Vec::new() };
        self.weights.buffers.iter().cloned().zip(average.buffers.iter().cloned()).map(|(w, a)| [w, a]).collect()
    }

    /// What the model says of its parameters.
    pub fn specs(&self) -> &[ParamSpec] {
        &self.specs
    }

    fn slice(&self, spec: &ParamSpec, state: State) -> Option<BufferSlice> {
        if !spec.trained {
            return matches!(state, State::Weights)
                .then(|| self.fixed.place(&spec.name))
                .flatten()
                .map(|p| self.tables.slice(p));
        }
        let training = self.training.as_ref();
        let shards = match state {
            State::Weights => Some(&self.weights),
            State::First => training.map(|t| &t.first),
            State::Second => training.map(|t| &t.second),
            State::Gradients => training.map(|t| &t.gradients),
            State::Average => training.and_then(|t| t.average.as_ref()),
        };
        Some(shards?.slice(self.trained.place(&spec.name)?))
    }

    /// Memory for a model's graph: parameters by name, their copies in 16 bits by [`Builder::half_name`], gradients by
    /// [`Builder::gradient_name`].
    pub fn externals(&self) -> Externals {
        let mut externals = Externals::new();
        for spec in &self.specs {
            if let Some(slice) = self.slice(spec, State::Weights) {
                externals.insert(spec.name.clone(), slice);
            }
            if let Some(slice) = self.slice(spec, State::Gradients) {
                externals.insert(Builder::gradient_name(&spec.name), slice);
            }
            if let (Some(halves), Some(place)) = (&self.halves, self.trained.place(&spec.name)) {
                externals.insert(Builder::half_name(&spec.name), halves.shards.slice(place));
            }
        }
        externals
    }

    /// Sets every parameter to its initial values under `seed`.
    pub fn initialise(&self, gpu: &Gpu, seed: u64) {
        let mut waiting = 0;
        for spec in &self.specs {
            if let Some(slice) = self.slice(spec, State::Weights) {
                gpu.upload(&slice, &spec.initial(seed));
                waiting += slice.bytes;
                if waiting > MOST_WAITING {
                    gpu.flush();
                    waiting = 0;
                }
            }
        }
        self.refresh_halves(gpu);
    }

    /// Makes the weights in 16 bits anew, where there are some.
    fn refresh_halves(&self, gpu: &Gpu) {
        if let Some(halves) = &self.halves {
            halves.refresh.run(gpu);
        }
    }

    /// Sets `state` of every parameter from tensors named as in checkpoints.
    ///
    /// # Errors
    /// [`WeightsError::Missing`] or [`WeightsError::Shape`], and nothing is changed then; what reading them gives.
    pub fn load(&self, gpu: &Gpu, state: State, weights: &dyn TensorSource) -> Result<(), WeightsError> {
        self.load_where(gpu, state, weights, |_| true)
    }

    /// As [`ParamStore::load`], of the parameters whose names are `wanted`; the others stay as they are.
    ///
    /// # Errors
    /// As [`ParamStore::load`].
    pub fn load_where(
        &self,
        gpu: &Gpu,
        state: State,
        weights: &dyn TensorSource,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<(), WeightsError> {
        let wanted = |spec: &&ParamSpec| wanted(&spec.name);
        let present = || self.specs.iter().filter(wanted).filter_map(|spec| Some((spec, self.slice(spec, state)?)));
        for (spec, _) in present() {
            spec.parts.iter().try_for_each(|part| weights.expect(&part.name, &part.shape))?;
        }
        // One at a time, and what is uploaded lies in main memory until it is copied: a large model never does as a whole.
        let mut waiting = 0;
        for (spec, slice) in present() {
            let mut values = Vec::with_capacity(spec.len());
            for part in &spec.parts {
                values.extend(weights.get(&part.name, &part.shape)?.data);
            }
            gpu.upload(&slice, &values);
            waiting += slice.bytes;
            if waiting > MOST_WAITING {
                gpu.flush();
                waiting = 0;
            }
        }
        if state == State::Weights {
            self.refresh_halves(gpu);
        }
        Ok(())
    }

    /// Reads `state` of every parameter back, named as in checkpoints.
    pub async fn save(&self, gpu: &Gpu, state: State) -> Result<Tensors, GpuError> {
        let mut tensors = Tensors::default();
        let present: Vec<(&ParamSpec, BufferSlice)> =
            self.specs.iter().filter_map(|spec| Some((spec, self.slice(spec, state)?))).collect();
        let sizes: Vec<u64> = present.iter().map(|(_, slice)| slice.bytes).collect();
        for group in groups(&sizes, MOST_WAITING) {
            let group = &present[group];
            let slices: Vec<BufferSlice> = group.iter().map(|(_, slice)| slice.clone()).collect();
            for ((spec, _), bytes) in group.iter().zip(gpu.read("parameters", &slices).await?) {
                for part in &spec.parts {
                    let part_bytes = &bytes[part.offset * 4..][..part.len() * 4];
                    tensors.insert(part.name.clone(), &part.shape, bytemuck::pod_collect_to_vec(part_bytes));
                }
            }
        }
        Ok(tensors)
    }

    /// What the optimiser passes over, a shard each; empty without training state.
    pub fn optimiser_shards(&self) -> Vec<AdamWShard> {
        let Some(training) = &self.training else { return Vec::new() };
        (0..self.weights.buffers.len())
            .map(|index| AdamWShard {
                weights: self.weights.buffers[index].clone(),
                gradients: training.gradients.buffers[index].clone(),
                first: training.first.buffers[index].clone(),
                second: training.second.buffers[index].clone(),
                decays: training.decays[index].clone(),
                halves: self.halves.as_ref().map(|halves| halves.shards.buffers[index].clone()),
            })
            .collect()
    }

    /// Elements of each shard of weights.
    pub fn shard_lengths(&self) -> &[usize] {
        self.trained.lengths()
    }
}

/// Runs of `sizes` whose sum is at most `most`, or of a single one that is larger.
pub(crate) fn groups(sizes: &[u64], most: u64) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut sum = 0;
    for (at, size) in sizes.iter().enumerate() {
        match groups.last_mut() {
            Some(group) if sum + size <= most => group.end = at + 1,
            _ => {
                groups.push(at..at + 1);
                sum = 0;
            }
        }
        sum += size;
    }
    groups
}

/// A flag for every [`DECAY_BLOCK`] elements of each shard.
fn decay_flags(specs: &[ParamSpec], layout: &ShardLayout) -> Vec<Vec<u32>> {
    let mut flags: Vec<Vec<u32>> = layout.lengths().iter().map(|length| vec![0; length / DECAY_BLOCK]).collect();
    for spec in specs.iter().filter(|spec| spec.decays) {
        if let Some(place) = layout.place(&spec.name) {
            let blocks = place.offset / DECAY_BLOCK..(place.offset + place.len).div_ceil(DECAY_BLOCK);
            flags[place.shard][blocks].fill(1);
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_at_one_time_is_bounded() {
        assert_eq!(groups(&[30, 40, 24, 100, 5, 59, 1], 64), [0..1, 1..3, 3..4, 4..6, 6..7]);
        assert!(groups(&[], 64).is_empty());
    }
}
