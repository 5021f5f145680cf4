// Mean square error of each row, with a sum over the rows that the mask selects.
//
// pred, target [rows, width], mask, per_row [rows] f32. With ROWS (first launch): per_row[r] = mean over the width of
// (pred - target)^2, one workgroup a row, or with DIRECT one invocation a row. Without (second launch, one workgroup):
// loss[0] = sum(mask per_row) / max(sum(mask), 1), count[0] = sum(mask); a tree over strided sums, in a fixed order.
// With GRADIENT: dpred = 2 (pred - target) mask dloss / (width max(count, 1)), one invocation an element.
// one of: ROWS | ROWS+DIRECT | - | GRADIENT

import package::lib::rows::{WORKGROUP, STRIDE, row_of, first_of, row_sum, row_sums};

struct Params {
    rows: u32,
    width: u32,
    groups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@if(ROWS || GRADIENT) @group(0) @binding(1) var<storage, read> pred: array<f32>;
@if(ROWS || GRADIENT) @group(0) @binding(2) var<storage, read> truth: array<f32>;
@if(!ROWS) @group(0) @binding(3) var<storage, read> mask: array<f32>;
@if(ROWS) @group(0) @binding(4) var<storage, read_write> per_row: array<f32>;
@if(!ROWS && !GRADIENT) @group(0) @binding(4) var<storage, read> per_row: array<f32>;
@if(!ROWS && !GRADIENT) @group(0) @binding(5) var<storage, read_write> loss: array<f32>;
@if(!ROWS && !GRADIENT) @group(0) @binding(6) var<storage, read_write> count: array<f32>;
@if(GRADIENT) @group(0) @binding(5) var<storage, read> count: array<f32>;
@if(GRADIENT) @group(0) @binding(6) var<storage, read> dloss: array<f32>;
@if(GRADIENT) @group(0) @binding(7) var<storage, read_write> dpred: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    @if(GRADIENT) {
        let i = (group.y * params.groups + group.x) * WORKGROUP + thread;
        if (i < params.rows * params.width) {
            let scale = 2.0 * dloss[0] / (f32(params.width) * max(count[0], 1.0));
            dpred[i] = (pred[i] - truth[i]) * mask[i / params.width] * scale;
        }
    }
    @if(ROWS) {
        let row = row_of(group, params.groups, thread);
        let first = first_of(thread);
        if (row >= params.rows) {
            return;
        }
        var sum = 0.0;
        for (var i = first; i < params.width; i += STRIDE) {
            let d = pred[row * params.width + i] - truth[row * params.width + i];
            sum += d * d;
        }
        let total = row_sum(sum, thread);
        if (first == 0u) {
            per_row[row] = total / f32(params.width);
        }
    }
    @if(!ROWS && !GRADIENT) {
        var sum = vec2f();
        for (var row = thread; row < params.rows; row += WORKGROUP) {
            sum += mask[row] * vec2f(per_row[row], 1.0);
        }
        let total = row_sums(sum, thread);
        if (thread == 0u) {
            loss[0] = total.x / max(total.y, 1.0);
            count[0] = total.y;
        }
    }
}
