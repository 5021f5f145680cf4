// Rows normalised each by itself: y = (x - mean) / deviation, deviation = sqrt(unbiased variance + EPS).
//
// x, y [rows, width] in vectors, stats [rows] vec2f (mean, deviation), f32. LANES invocations a row: the mean first, then
// the centred squares. With DIRECT, for processors, one invocation a row and no barriers.
// The mean is taken relative to a row's first number: a flat row, of deviation 1e-3, then has no rounding to magnify.
// conditions: DIRECT SCALAR

import package::lib::rows::{WORKGROUP, LANES, row_of, first_of, row_sum};
import package::lib::vector::{Vector, NUMBERS, first_number, total};

const EPS: f32 = 1e-6;

// The width counts vectors.
struct Params {
    rows: u32,
    width: u32,
    groups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Vector>;
@group(0) @binding(2) var<storage, read_write> y: array<Vector>;
@group(0) @binding(3) var<storage, read_write> stats: array<vec2f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let number = row_of(group, params.groups, thread);
    // Past the last row, all of it but the writing is done once more: barriers are for all.
    let row = min(number, params.rows - 1u);
    let first = first_of(thread);
    let width = f32(params.width * NUMBERS);
    let start = row * params.width;
    let end = start + params.width;
    let origin = first_number(x[start]);
    var sum = Vector(0.0);
    for (var i = start + first; i < end; i += LANES) {
        sum += x[i] - Vector(origin);
    }
    let mean = origin + row_sum(total(sum), thread) / width;
    var squares = Vector(0.0);
    for (var i = start + first; i < end; i += LANES) {
        let d = x[i] - Vector(mean);
        squares += d * d;
    }
    let deviation = sqrt(row_sum(total(squares), thread) / (width - 1.0) + EPS);
    if (number >= params.rows) {
        return;
    }
    for (var i = start + first; i < end; i += LANES) {
        y[i] = (x[i] - Vector(mean)) / deviation;
    }
    if (first == 0u) {
        stats[row] = vec2f(mean, deviation);
    }
}
