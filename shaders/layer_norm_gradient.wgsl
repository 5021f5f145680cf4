// Gradient of layer normalisation for its input: with h = (x - mean) r and g = gamma dy,
// dx = r (g - mean(g) - h mean(g h)). With RESIDUAL, plus a gradient that reached x another way. With COLUMN_SUMS also what
// the rows of each workgroup add to the gradients of gamma and beta: the sums of h dy and of dy.
//
// x, dy, dx, residual [rows, width], gamma [width] in vectors; stats [rows] vec2f (mean, r); partial_gamma, partial_beta
// [workgroups, width] in vectors; all f32.
// LANES invocations a row. With HELD, an invocation holds h, dy and the residual of what it has of the row, HELD_VECTORS
// vectors or less, so that memory is read once; without, rows may have any width. With COLUMN_SUMS a workgroup goes over
// several rows in turn, so that its sums are few. With DIRECT, for processors, one invocation a row and no barriers.
// src/ops/layer_norm.rs sets HELD_VECTORS.
// one of: HELD | HELD+COLUMN_SUMS | - | SCALAR | DIRECT | DIRECT+SCALAR
// conditions: RESIDUAL

@if(!COLUMN_SUMS) import package::lib::rows::{WORKGROUP, LANES, row_of, first_of, row_sums};
@if(COLUMN_SUMS) import package::lib::rows::{WORKGROUP, LANES, row_of, first_of, row_sums, column_total};
import package::lib::vector::{Vector, NUMBERS, total};

@if(HELD) const HELD_VECTORS: u32 = 2u;

// The width counts vectors; a workgroup takes rows `turns` times, `stride` rows further each time.
struct Params {
    rows: u32,
    width: u32,
    groups: u32,
    turns: u32,
    stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Vector>;
@group(0) @binding(2) var<storage, read> gamma: array<Vector>;
@group(0) @binding(3) var<storage, read> stats: array<vec2f>;
@group(0) @binding(4) var<storage, read> dy: array<Vector>;
@group(0) @binding(5) var<storage, read_write> dx: array<Vector>;
@if(RESIDUAL) @group(0) @binding(6) var<storage, read> residual: array<Vector>;
@if(COLUMN_SUMS) @group(0) @binding(7) var<storage, read_write> partial_gamma: array<Vector>;
@if(COLUMN_SUMS) @group(0) @binding(8) var<storage, read_write> partial_beta: array<Vector>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let own = row_of(group, params.groups, thread);
    let first = first_of(thread);
    let scale = 1.0 / f32(params.width * NUMBERS);
    @if(HELD) {
        var h: array<Vector, HELD_VECTORS>;
        var d: array<Vector, HELD_VECTORS>;
        @if(RESIDUAL) var rest: array<Vector, HELD_VECTORS>;
        @if(COLUMN_SUMS) var of_gamma: array<Vector, HELD_VECTORS>;
        @if(COLUMN_SUMS) var of_beta: array<Vector, HELD_VECTORS>;
        for (var turn = 0u; turn < params.turns; turn += 1u) {
            let number = own + turn * params.stride;
            // Past the last row, all of it but the writing is done once more: barriers are for all.
            let row = min(number, params.rows - 1u);
            let base = row * params.width;
            let moments = stats[row];
            // All loads are under way before the first is waited for, and none waits for a branch: past the end of a row
            // the last vector is read once more, and not counted.
            for (var k = 0u; k < HELD_VECTORS; k++) { // unrolled
                let i = base + min(first + k * LANES, params.width - 1u);
                h[k] = x[i];
                d[k] = dy[i];
                @if(RESIDUAL) {
                    rest[k] = residual[i];
                }
            }
            var sum = Vector(0.0);
            var product = Vector(0.0);
            for (var k = 0u; k < HELD_VECTORS; k++) { // unrolled
                let i = first + k * LANES;
                h[k] = (h[k] - Vector(moments.x)) * moments.y;
                d[k] = select(Vector(0.0), d[k], number < params.rows && i < params.width);
                @if(COLUMN_SUMS) {
                    of_gamma[k] += d[k] * h[k];
                    of_beta[k] += d[k];
                }
                d[k] *= gamma[min(i, params.width - 1u)];
                sum += d[k];
                product += d[k] * h[k];
            }
            let means = row_sums(vec2f(total(sum), total(product)), thread) * scale;
            for (var k = 0u; k < HELD_VECTORS; k++) { // unrolled
                let i = first + k * LANES;
                if (number < params.rows && i < params.width) {
                    var value = moments.y * (d[k] - Vector(means.x) - h[k] * means.y);
                    @if(RESIDUAL) {
                        value += rest[k];
                    }
                    dx[base + i] = value;
                }
            }
        }
        @if(COLUMN_SUMS) {
            let out = (group.y * params.groups + group.x) * params.width;
            for (var k = 0u; k < HELD_VECTORS; k++) { // unrolled
                let i = first + k * LANES;
                let sum_gamma = column_total(of_gamma[k], thread);
                let sum_beta = column_total(of_beta[k], thread);
                if (thread < LANES && i < params.width) {
                    partial_gamma[out + i] = sum_gamma;
                    partial_beta[out + i] = sum_beta;
                }
            }
        }
    }
    @if(!HELD) {
        // Past the last row, all of it but the writing is done once more: barriers are for all.
        let row = min(own, params.rows - 1u);
        let base = row * params.width;
        let mean = Vector(stats[row].x);
        let r = stats[row].y;
        var sum = Vector(0.0);
        var product = Vector(0.0);
        for (var i = first; i < params.width; i += LANES) {
            let g = gamma[i] * dy[base + i];
            sum += g;
            product += g * (x[base + i] - mean) * r;
        }
        let means = row_sums(vec2f(total(sum), total(product)), thread) * scale;
        if (own >= params.rows) {
            return;
        }
        for (var i = first; i < params.width; i += LANES) {
            let g = gamma[i] * dy[base + i];
            let h = (x[base + i] - mean) * r;
            var value = r * (g - Vector(means.x) - h * means.y);
            @if(RESIDUAL) {
                value += residual[base + i];
            }
            dx[base + i] = value;
        }
    }
}
