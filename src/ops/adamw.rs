//! AdamW over flat shards (Loshchilov and Hutter 2019), as PyTorch computes it.

use super::shard::spread;
use crate::gpu::{BufferSlice, DispatchList, Gpu, GpuError, KernelKey};

uniform!(
    /// Uniform of the kernel.
    Params in "adamw" { length: u32, across: u32, beta1: f32, beta2: f32, eps: f32, weight_decay: f32 }
);

/// Elements that share one decay flag; parameters start at multiples of it.
pub const DECAY_BLOCK: usize = 64;

/// Binding of the weights in 16 bits.
const HALVES: u32 = 8;

/// Vectors an invocation: processors do one block of decay flags, GPUs have neighbours read what lies side by side.
const PROCESSOR_VECTORS: u32 = DECAY_BLOCK as u32 / 4;
const GPU_VECTORS: u32 = 1;

/// Every kernel, for processors and for others.
pub(super) fn kernels() -> Vec<KernelKey> {
    let kinds = [PROCESSOR_VECTORS, GPU_VECTORS].into_iter().flat_map(|vectors| [(vectors, false), (vectors, true)]);
    kinds.map(|(vectors, halves)| key(vectors, halves)).collect()
}

fn key(vectors: u32, halves: bool) -> KernelKey {
    KernelKey::new("adamw").constant("VECTORS", vectors).when("HALVES", halves)
}

/// The optimiser's constants.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AdamW {
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub eps: f32,
    /// Decoupled weight decay.
    pub weight_decay: f32,
}

impl Default for AdamW {
    /// The recipe of He et al. 2021, table 8.
    fn default() -> Self {
        AdamW { beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.05 }
    }
}

/// Memory of one shard.
#[derive(Clone, Debug)]
pub struct AdamWShard {
    /// Weights, f32.
    pub weights: BufferSlice,
    /// Their gradients.
    pub gradients: BufferSlice,
    /// First moments.
    pub first: BufferSlice,
    /// Second moments.
    pub second: BufferSlice,
    /// A u32 flag every [`DECAY_BLOCK`] elements: 1 where weights decay.
    pub decays: BufferSlice,
    /// The weights in 16 bits, where products read them so.
    pub halves: Option<BufferSlice>,
}

impl AdamW {
    /// What the kernel reads of the schedule at optimiser step `t` (from 1): `[lr, 1 - beta1^t, 1 - beta2^t]`, and a
    /// number for [`super::push_average`].
    pub fn schedule(&self, lr: f64, t: u64) -> [f32; 4] {
        let [first, second] = self.powers(t).map(|power| (1.0 - power) as f32);
        [lr as f32, first, second, 0.0]
    }

    /// Both decays to the power of `t`.
    pub fn powers(&self, t: u64) -> [f64; 2] {
        [self.beta1, self.beta2].map(|beta| f64::from(beta).powf(t as f64))
    }

    /// Adds the step of one shard to `list`; `schedule` and `norm` are small buffers read by the kernel.
    pub fn push(
        &self,
        gpu: &Gpu,
        list: &mut DispatchList,
        shard: &AdamWShard,
        schedule: &BufferSlice,
        norm: &BufferSlice,
    ) -> Result<(), GpuError> {
        let length = (shard.weights.bytes / 4) as usize;
        let vectors = if gpu.is_cpu() { PROCESSOR_VECTORS } else { GPU_VECTORS };
        let (workgroups, across) = spread(gpu, (length / 4).div_ceil(vectors as usize), 256);
        let params = Params {
            length: length as u32,
            across,
            beta1: self.beta1,
            beta2: self.beta2,
            eps: self.eps,
            weight_decay: self.weight_decay,
        };
        let buffers = [&shard.weights, &shard.gradients, &shard.first, &shard.second, &shard.decays, schedule, norm];
        let buffers = buffers.into_iter().chain(&shard.halves).cloned();
        let buffers: Vec<(u32, BufferSlice)> = (1..).zip(buffers).collect();
        let key = key(vectors, shard.halves.is_some()).halves(shard.halves.iter().map(|_| HALVES).collect());
        list.push(gpu, "adamw", &key, bytemuck::bytes_of(&params), &buffers, workgroups)
    }
}
