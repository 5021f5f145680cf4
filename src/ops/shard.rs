//! What the passes over flat shards share.

use crate::gpu::Gpu;
use crate::graph;

/// Workgroups of `size` for `length` invocations over x and y, and the invocations of one row of workgroups.
pub(super) fn spread(gpu: &Gpu, length: usize, size: u32) -> ([u32; 3], u32) {
    graph::spread(length, size, gpu.limits().max_compute_workgroups_per_dimension)
}
