// native only
// How many invocations make up a subgroup of a kernel on matrix units, which some drivers choose kernel by kernel.
//
// sizes [THREADS] f32. One workgroup; every invocation tells the size of its subgroup, or zero where subgroups are not
// made of invocations in a row, as the other kernels on matrix units take for granted. A product of zeros makes it one
// of these kernels.
//
// SIDE_16 is for matrices of 16 x 16, which NVIDIA and AMD have.
// conditions: SIDE_16

import package::lib::matrix_units::{SIDE, Left, Right, Sum};

enable f16;
enable wgpu_cooperative_matrix;

const THREADS: u32 = 128u;

struct Params {
    length: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> sizes: array<f32>;

var<workgroup> zeros: array<f32, SIDE * SIDE>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(local_invocation_index) thread: u32,
    @builtin(subgroup_size) size: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let product = coopMultiplyAdd(Left(), Right(), Sum());
    coopStoreT(product, &zeros[0], SIDE);
    workgroupBarrier();
    let in_a_row = thread % size == lane && subgroupBroadcastFirst(thread) + lane == thread;
    if (thread < params.length) {
        sizes[thread] = select(0.0, f32(size), in_a_row) + zeros[thread % (SIDE * SIDE)];
    }
}
