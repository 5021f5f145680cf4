// Gradient of layer normalisation for its input: with h = (x - mean) r and g = gamma dy,
// dx = r (g - mean(g) - h mean(g h)). With RESIDUAL, plus a gradient that reached x another way.
//
// x, dy, dx, residual [rows, width], gamma [width], stats [rows, 2] (mean, r), all f32.
// One workgroup a row, tree reductions in workgroup memory; with DIRECT one invocation a row and no barriers.
// conditions: DIRECT RESIDUAL

import package::lib::rows::{WORKGROUP, STRIDE, row_of, first_of, row_sums};

struct Params {
    rows: u32,
    width: u32,
    groups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> stats: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;
@if(RESIDUAL) @group(0) @binding(6) var<storage, read> residual: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let row = row_of(group, params.groups, thread);
    let first = first_of(thread);
    if (row >= params.rows) {
        return;
    }
    let base = row * params.width;
    let mean = stats[row * 2u];
    let r = stats[row * 2u + 1u];
    var sums = vec2f();
    for (var i = first; i < params.width; i += STRIDE) {
        let g = gamma[i] * dy[base + i];
        sums += vec2f(g, g * (x[base + i] - mean) * r);
    }
    let means = row_sums(sums, thread) / f32(params.width);
    for (var i = first; i < params.width; i += STRIDE) {
        let g = gamma[i] * dy[base + i];
        let h = (x[base + i] - mean) * r;
        var value = r * (g - means.x - h * means.y);
        @if(RESIDUAL) {
            value += residual[base + i];
        }
        dx[base + i] = value;
    }
}
