// Softmax of each row, y = exp(x - max x) / Σ exp(x - max x), or with GRADIENT dx = y (dy - Σ y dy).
//
// x, y, dy, dx [rows, columns] f32. LANES invocations a row: they take every LANES-th element, keep a running maximum and
// sum, and merge them in a tree, so that the order is fixed. With DIRECT, for short rows and processors, an invocation a
// row. Rows run over workgroups in x and y, `groups` of them along x.
// conditions: GRADIENT DIRECT

import package::lib::rows::{WORKGROUP, LANES, row_of, first_of, row_sum};

// Below any element that gets weight.
const LOWEST: f32 = -3.0e38;

struct Params {
    rows: u32,
    columns: u32,
    groups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// x, or y with GRADIENT.
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;
@if(GRADIENT) @group(0) @binding(3) var<storage, read> dy: array<f32>;

@if(!DIRECT && !GRADIENT) var<workgroup> partial: array<vec2f, WORKGROUP>;

// Maximum (.x) and sum of exp(x - maximum) (.y) of two sets of elements together.
@if(!GRADIENT)
fn merge(a: vec2f, b: vec2f) -> vec2f {
    let larger = max(a.x, b.x);
    return vec2f(larger, a.y * exp(a.x - larger) + b.y * exp(b.x - larger));
}

// The same over the invocations of a row.
@if(!GRADIENT)
fn merge_row(own: vec2f, thread: u32) -> vec2f {
    @if(!DIRECT) {
        partial[thread] = own;
        for (var half = LANES / 2u; half > 0u; half /= 2u) {
            workgroupBarrier();
            if (thread % LANES < half) {
                partial[thread] = merge(partial[thread], partial[thread + half]);
            }
        }
        workgroupBarrier();
        return partial[thread / LANES * LANES];
    }
    @if(DIRECT) {
        return own;
    }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let row = row_of(group, params.groups, thread);
    // Past the last row there is nothing to do but to reach the barriers.
    let end = select(0u, (row + 1u) * params.columns, row < params.rows);
    let start = row * params.columns + first_of(thread);
    @if(!GRADIENT) {
        var own = vec2f(LOWEST, 0.0);
        for (var i = start; i < end; i += LANES) {
            own = merge(own, vec2f(input[i], 1.0));
        }
        let all = merge_row(own, thread);
        for (var i = start; i < end; i += LANES) {
            output[i] = exp(input[i] - all.x) / all.y;
        }
    }
    @if(GRADIENT) {
        var own = 0.0;
        for (var i = start; i < end; i += LANES) {
            own += input[i] * dy[i];
        }
        let all = row_sum(own, thread);
        for (var i = start; i < end; i += LANES) {
            output[i] = input[i] * (dy[i] - all);
        }
    }
}
