//! Sums of gradients over micro-batches.

use super::rows::vectors;
use super::shard::spread;
use crate::gpu::{BufferSlice, DispatchList, Gpu, GpuError, KernelKey};

uniform!(
    /// Uniform of the kernel.
    Params in "accumulate" { length: u32, across: u32 }
);

/// Adds `sum += x` to `list`, or `sum = x` where `first`.
pub fn push_accumulate(
    gpu: &Gpu,
    list: &mut DispatchList,
    x: &BufferSlice,
    sum: &BufferSlice,
    first: bool,
) -> Result<(), GpuError> {
    let (length, scalar) = vectors((x.bytes / 4) as usize);
    let (workgroups, across) = spread(gpu, length, 256);
    let params = Params { length: length as u32, across };
    let key = KernelKey::new("accumulate").when("FIRST", first).when("SCALAR", scalar);
    list.push(gpu, "accumulate", &key, bytemuck::bytes_of(&params), &[(1, x.clone()), (2, sum.clone())], workgroups)
}
