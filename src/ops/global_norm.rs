//! The norm of all gradients and its clipping, without reading anything back.

use super::AdamW;
use crate::gpu::{BufferSlice, DispatchList, Gpu, GpuError, KernelKey};

uniform!(
    /// Uniform of both kernels.
    Params in "global_norm" {
        length: u32,
        strip: u32,
        offset: u32,
        max_norm: f32,
        micro_batches: f32,
        beta1: f32,
        beta2: f32,
    }
);

/// Gradients that one workgroup sums.
const STRIP: usize = 16_384;

/// Partial sums that shards of `lengths` elements need.
pub fn global_norm_partials(lengths: &[usize]) -> usize {
    lengths.iter().map(|length| length.div_ceil(STRIP)).sum()
}

/// The scale of a loss whose gradients pass through 16-bit floats (Micikevicius et al. 2018, section 3.2), kept on the
/// device: halved where gradients overflow, doubled after 500 steps without. Steps whose gradients overflow are skipped,
/// and do not count for AdamW.
#[derive(Clone, Debug)]
pub struct LossScaling {
    /// Where it stands, see [`LossScaling::state_at`].
    pub state: BufferSlice,
    /// The schedule that AdamW reads, whose corrections become those of the steps that were not skipped.
    pub schedule: BufferSlice,
    /// The optimiser.
    pub adamw: AdamW,
    /// Micro-batches a step.
    pub micro_batches: usize,
}

impl LossScaling {
    /// The state at `scale` after `updates` steps of AdamW: the gradient of the loss of one of `micro_batches`, steps since
    /// the scale was last changed, and the powers of both decays.
    pub fn state_at(scale: f32, micro_batches: usize, adamw: &AdamW, updates: u64) -> [f32; 4] {
        let [beta1, beta2] = adamw.powers(updates);
        [scale / micro_batches as f32, 0.0, beta1 as f32, beta2 as f32]
    }
}

/// The scale that a run begins with.
pub const FIRST_SCALE: f32 = 65_536.0;

/// Adds the norm of `shards` to `list`: `norm` becomes (norm, clip factor, 1 if finite, scale of the loss).
///
/// With `scaling`, gradients come scaled: the norm is that of the unscaled ones, the factor undoes the scale too, and the
/// state goes on by a step.
/// The lengths of shards are multiples of four, as those of layouts are. `max_norm` of zero clips nothing. `partials`
/// holds [`global_norm_partials`] elements.
pub fn push_global_norm(
    gpu: &Gpu,
    list: &mut DispatchList,
    shards: &[BufferSlice],
    partials: &BufferSlice,
    norm: &BufferSlice,
    max_norm: f32,
    scaling: Option<&LossScaling>,
) -> Result<(), GpuError> {
    let micro_batches = scaling.map_or(1, |scaling| scaling.micro_batches) as f32;
    let [beta1, beta2] = scaling.map_or([0.0; 2], |scaling| [scaling.adamw.beta1, scaling.adamw.beta2]);
    let mut offset = 0;
    for shard in shards {
        let length = (shard.bytes / 4) as usize;
        debug_assert!(length.is_multiple_of(4), "a shard of {length} elements");
        let groups = length.div_ceil(STRIP) as u32;
        let (length, strip) = (length as u32 / 4, STRIP as u32 / 4);
        let params = Params { length, strip, offset, max_norm, micro_batches, beta1, beta2 };
        let key = KernelKey::new("global_norm").when("SQUARES", true);
        let buffers = [(1, shard.clone()), (2, partials.clone())];
        list.push(gpu, "global_norm", &key, bytemuck::bytes_of(&params), &buffers, [groups, 1, 1])?;
        offset += groups;
    }
    let params = Params { length: offset, strip: offset, offset: 0, max_norm, micro_batches, beta1, beta2 };
    let mut buffers = vec![(1, partials.clone()), (2, norm.clone())];
    if let Some(scaling) = scaling {
        buffers.extend([(3, scaling.state.clone()), (4, scaling.schedule.clone())]);
    }
    let key = KernelKey::new("global_norm").when("SCALED", scaling.is_some());
    list.push(gpu, "global_norm", &key, bytemuck::bytes_of(&params), &buffers, [1, 1, 1])
}
