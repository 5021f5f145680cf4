// Cross-entropy of each row of logits with its label: loss[r] = log Σ exp(x[r]) - x[r, label[r]], or with GRADIENT
// dx[r] = (softmax(x[r]) - one-hot(label[r])) dloss[r].
//
// x, dx [rows, columns], labels [rows] u32, loss, dloss and logs (log Σ exp) [rows], f32. LANES invocations a row: they
// take every LANES-th element, keep a running maximum and sum, and merge them in a tree, so that the order is fixed. With
// DIRECT, for short rows and processors, an invocation a row. Rows run over workgroups in x and y, `groups` of them along
// x. Labels are below `columns`.
// conditions: GRADIENT DIRECT

@if(!GRADIENT) import package::lib::log_sum::{LOWEST, merge, merge_row};
import package::lib::rows::{WORKGROUP, LANES, row_of, first_of};

struct Params {
    rows: u32,
    columns: u32,
    groups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@if(!GRADIENT) @group(0) @binding(3) var<storage, read_write> logs: array<f32>;
@if(!GRADIENT) @group(0) @binding(4) var<storage, read_write> loss: array<f32>;
@if(GRADIENT) @group(0) @binding(3) var<storage, read> logs: array<f32>;
@if(GRADIENT) @group(0) @binding(4) var<storage, read> dloss: array<f32>;
@if(GRADIENT) @group(0) @binding(5) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let row = row_of(group, params.groups, thread);
    let base = row * params.columns;
    @if(!GRADIENT) {
        // Past the last row there is nothing to do but to reach the barriers.
        let end = select(0u, params.columns, row < params.rows);
        var own = vec2f(LOWEST, 0.0);
        for (var i = first_of(thread); i < end; i += LANES) {
            own = merge(own, vec2f(x[base + i], 1.0));
        }
        let all = merge_row(own, thread);
        if (row < params.rows && first_of(thread) == 0u) {
            let log_sum = all.x + log(all.y);
            let label = min(labels[row], params.columns - 1u);
            logs[row] = log_sum;
            loss[row] = log_sum - x[base + label];
        }
    }
    @if(GRADIENT) {
        if (row >= params.rows) {
            return;
        }
        let label = labels[row];
        let scale = dloss[row];
        for (var i = first_of(thread); i < params.columns; i += LANES) {
            let p = exp(x[base + i] - logs[row]);
            dx[base + i] = (p - select(0.0, 1.0, i == label)) * scale;
        }
    }
}
