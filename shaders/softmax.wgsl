// Softmax of each row, y = exp(x - max x) / Σ exp(x - max x), or with GRADIENT dx = y (dy - Σ y dy).
//
// x, y, dy, dx [rows, columns] f32. LANES invocations a row: they take every LANES-th element, keep a running maximum and
// sum, and merge them in a tree; with GRADIENT each adds up the sums of all. So the order is fixed. With DIRECT, for short
// rows and processors, an invocation a row. Rows run over workgroups in x and y, `groups` of them along x.
// The models here do without: attention and cross-entropy have their softmax within.
// conditions: GRADIENT DIRECT

@if(!GRADIENT) import package::lib::log_sum::{LOWEST, merge, merge_row};
import package::lib::rows::{WORKGROUP, LANES, row_of, first_of, row_sum};

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
