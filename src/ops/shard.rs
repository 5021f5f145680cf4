//! What the passes over flat shards share.

use crate::gpu::Gpu;

/// Workgroups of `size` for `length` invocations over x and y, and the invocations of one row of workgroups.
pub(super) fn spread(gpu: &Gpu, length: usize, size: u32) -> ([u32; 3], u32) {
    let groups = (length as u64).div_ceil(u64::from(size)).max(1);
    let x = groups.min(u64::from(gpu.limits().max_compute_workgroups_per_dimension));
    ([x as u32, groups.div_ceil(x) as u32, 1], x as u32 * size)
}
