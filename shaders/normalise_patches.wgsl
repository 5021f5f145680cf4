// Rows normalised each by itself: y = (x - mean) / deviation, deviation = sqrt(unbiased variance + EPS).
//
// x, y [rows, width], stats [rows, 2] (mean, deviation), f32. One workgroup a row, with tree reductions in workgroup
// memory: the mean first, then the centred squares. With DIRECT, for processors, one invocation a row and no barriers.
// The mean is taken relative to a row's first number: a flat row, of deviation 1e-3, then has no rounding to magnify.
// conditions: DIRECT

import package::lib::rows::{WORKGROUP, STRIDE, row_of, first_of, row_sum};

const EPS: f32 = 1e-6;

struct Params {
    rows: u32,
    width: u32,
    groups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> stats: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let row = row_of(group, params.groups, thread);
    let first = first_of(thread);
    if (row >= params.rows) {
        return;
    }
    let start = row * params.width;
    let end = start + params.width;
    let origin = x[start];
    var sum = 0.0;
    for (var i = start + first; i < end; i += STRIDE) {
        sum += x[i] - origin;
    }
    let mean = origin + row_sum(sum, thread) / f32(params.width);
    var squares = 0.0;
    for (var i = start + first; i < end; i += STRIDE) {
        let d = x[i] - mean;
        squares += d * d;
    }
    let deviation = sqrt(row_sum(squares, thread) / f32(params.width - 1u) + EPS);
    for (var i = start + first; i < end; i += STRIDE) {
        y[i] = (x[i] - mean) / deviation;
    }
    if (first == 0u) {
        stats[row * 2u] = mean;
        stats[row * 2u + 1u] = deviation;
    }
}
