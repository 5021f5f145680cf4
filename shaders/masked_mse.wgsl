// Mean square error of each row, with a sum over the rows that the mask selects.
//
// pred, dpred and the target, called `truth` as WGSL reserves that word, [rows, width] in vectors, mask, per_row [rows],
// all f32. With PER_ROW (first launch): per_row[r] = mean over the width of (pred - target)^2, LANES invocations a row, or
// with DIRECT one. Without (second launch, one workgroup): loss[0] = sum(mask per_row) / max(sum(mask), 1), count[0] =
// sum(mask), in a fixed order.
// With GRADIENT: dpred = 2 (pred - target) mask dloss / (width max(count, 1)), LANES invocations a row, or one.
// one of: PER_ROW | PER_ROW+SCALAR | PER_ROW+DIRECT | PER_ROW+DIRECT+SCALAR | - | GRADIENT | GRADIENT+SCALAR | GRADIENT+DIRECT | GRADIENT+DIRECT+SCALAR

import package::lib::rows::{WORKGROUP, LANES, row_of, first_of, row_sum, workgroup_sums};
import package::lib::vector::{Vector, NUMBERS, total};

// Elements that an invocation loads at once, so that enough are under way; past the end the last is read once more.
@if(PER_ROW && !DIRECT) const AHEAD: u32 = 6u;
@if(PER_ROW && DIRECT) const AHEAD: u32 = 1u;
@if(!PER_ROW && !GRADIENT) const AHEAD: u32 = 16u;

// The width counts vectors.
struct Params {
    rows: u32,
    width: u32,
    groups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@if(PER_ROW || GRADIENT) @group(0) @binding(1) var<storage, read> pred: array<Vector>;
@if(PER_ROW || GRADIENT) @group(0) @binding(2) var<storage, read> truth: array<Vector>;
@if(!PER_ROW) @group(0) @binding(3) var<storage, read> mask: array<f32>;
@if(PER_ROW) @group(0) @binding(4) var<storage, read_write> per_row: array<f32>;
@if(!PER_ROW && !GRADIENT) @group(0) @binding(4) var<storage, read> per_row: array<f32>;
@if(!PER_ROW && !GRADIENT) @group(0) @binding(5) var<storage, read_write> loss: array<f32>;
@if(!PER_ROW && !GRADIENT) @group(0) @binding(6) var<storage, read_write> count: array<f32>;
@if(GRADIENT) @group(0) @binding(5) var<storage, read> count: array<f32>;
@if(GRADIENT) @group(0) @binding(6) var<storage, read> dloss: array<f32>;
@if(GRADIENT) @group(0) @binding(7) var<storage, read_write> dpred: array<Vector>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    @if(GRADIENT) {
        let row = row_of(group, params.groups, thread);
        if (row >= params.rows) {
            return;
        }
        let base = row * params.width;
        let scale = 2.0 * dloss[0] / (f32(params.width * NUMBERS) * max(count[0], 1.0)) * mask[row];
        // What is not selected need not be read.
        if (scale == 0.0) {
            for (var i = first_of(thread); i < params.width; i += LANES) {
                dpred[base + i] = Vector(0.0);
            }
            return;
        }
        for (var i = first_of(thread); i < params.width; i += LANES) {
            dpred[base + i] = (pred[base + i] - truth[base + i]) * scale;
        }
    }
    @if(PER_ROW) {
        let number = row_of(group, params.groups, thread);
        // Past the last row, all of it but the writing is done once more: barriers are for all.
        let row = min(number, params.rows - 1u);
        let base = row * params.width;
        var sum = Vector(0.0);
        for (var start = first_of(thread); start < params.width; start += LANES * AHEAD) {
            var ahead: array<Vector, AHEAD>;
            for (var k = 0u; k < AHEAD; k++) { // unrolled
                let i = base + min(start + k * LANES, params.width - 1u);
                ahead[k] = pred[i] - truth[i];
            }
            for (var k = 0u; k < AHEAD; k++) { // unrolled
                sum += select(Vector(0.0), ahead[k] * ahead[k], start + k * LANES < params.width);
            }
        }
        let all = row_sum(total(sum), thread);
        if (number < params.rows && first_of(thread) == 0u) {
            per_row[row] = all / f32(params.width * NUMBERS);
        }
    }
    @if(!PER_ROW && !GRADIENT) {
        var sum = vec2f();
        for (var start = thread; start < params.rows; start += WORKGROUP * AHEAD) {
            var ahead: array<vec2f, AHEAD>;
            for (var k = 0u; k < AHEAD; k++) { // unrolled
                let row = min(start + k * WORKGROUP, params.rows - 1u);
                ahead[k] = mask[row] * vec2f(per_row[row], 1.0);
            }
            for (var k = 0u; k < AHEAD; k++) { // unrolled
                sum += select(vec2f(), ahead[k], start + k * WORKGROUP < params.rows);
            }
        }
        let all = workgroup_sums(sum, thread);
        if (thread == 0u) {
            loss[0] = all.x / max(all.y, 1.0);
            count[0] = all.y;
        }
    }
}
