//! The norm of all gradients and its clipping, without reading anything back.

use crate::gpu::{BufferSlice, DispatchList, Gpu, GpuError, KernelKey};

uniform!(
    /// Uniform of both kernels.
    Params in "global_norm" { length: u32, strip: u32, offset: u32, max_norm: f32 }
);

/// Gradients that one workgroup sums.
const STRIP: usize = 16_384;

/// Partial sums that shards of `lengths` elements need.
pub fn global_norm_partials(lengths: &[usize]) -> usize {
    lengths.iter().map(|length| length.div_ceil(STRIP)).sum()
}

/// Adds the norm of `shards` to `list`: `norm` becomes (norm, clip factor, 1 if finite, unused).
///
/// `max_norm` of zero clips nothing. `partials` holds [`global_norm_partials`] elements.
pub fn push_global_norm(
    gpu: &Gpu,
    list: &mut DispatchList,
    shards: &[BufferSlice],
    partials: &BufferSlice,
    norm: &BufferSlice,
    max_norm: f32,
) -> Result<(), GpuError> {
    let mut offset = 0;
    for shard in shards {
        let length = (shard.bytes / 4) as usize;
        let params = Params { length: length as u32, strip: STRIP as u32, offset, max_norm };
        let groups = length.div_ceil(STRIP) as u32;
        let key = KernelKey::new("global_norm").when("SQUARES", true);
        let buffers = [(1, shard.clone()), (2, partials.clone())];
        list.push(gpu, "global_norm", &key, bytemuck::bytes_of(&params), &buffers, [groups, 1, 1])?;
        offset += groups;
    }
    let params = Params { length: offset, strip: offset, offset: 0, max_norm };
    let buffers = [(1, partials.clone()), (2, norm.clone())];
    list.push(gpu, "global_norm", &KernelKey::new("global_norm"), bytemuck::bytes_of(&params), &buffers, [1, 1, 1])
}
