// Layer normalisation of rows: y = gamma (x - mean) / sqrt(variance + eps) + beta, variance biased.
//
// x, y [rows, width], gamma, beta [width], stats [rows, 2] (mean, 1 / sqrt(variance + eps)), all f32.
// One workgroup a row: tree reductions in workgroup memory, mean first, then the centred variance.
// With DIRECT, for processors, one invocation a row and no barriers.
// conditions: DIRECT

import package::lib::rows::{WORKGROUP, STRIDE, row_of, first_of, row_sum};

struct Params {
    rows: u32,
    width: u32,
    groups: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read_write> stats: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let row = row_of(group, params.groups, thread);
    let first = first_of(thread);
    if (row >= params.rows) {
        return;
    }
    let base = row * params.width;
    let scale = 1.0 / f32(params.width);
    var sum = 0.0;
    for (var i = first; i < params.width; i += STRIDE) {
        sum += x[base + i];
    }
    let mean = row_sum(sum, thread) * scale;
    var squares = 0.0;
    for (var i = first; i < params.width; i += STRIDE) {
        let d = x[base + i] - mean;
        squares += d * d;
    }
    let variance = row_sum(squares, thread) * scale;
    let r = inverseSqrt(variance + params.eps);
    for (var i = first; i < params.width; i += STRIDE) {
        y[base + i] = (x[base + i] - mean) * r * gamma[i] + beta[i];
    }
    if (first == 0u) {
        stats[row * 2u] = mean;
        stats[row * 2u + 1u] = r;
    }
}
