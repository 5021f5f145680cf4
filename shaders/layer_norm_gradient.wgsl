// Gradient of layer normalisation for its input: with h = (x - mean) r and g = gamma dy,
// dx = r (g - mean(g) - h mean(g h)). With RESIDUAL, plus a gradient that reached x another way.
//
// x, dy, dx, residual [rows, width], gamma [width] in vectors; stats [rows] vec2f (mean, r), all f32.
// LANES invocations a row. With HELD, an invocation holds h, g and the residual of what it has of the row, HELD_VECTORS
// vectors or less, so that memory is read once; without, rows may have any width. With DIRECT, for processors, one
// invocation a row and no barriers.
// one of: HELD | - | SCALAR | DIRECT | DIRECT+SCALAR
// conditions: RESIDUAL

import package::lib::rows::{WORKGROUP, LANES, row_of, first_of, row_sums};
import package::lib::vector::{Vector, NUMBERS, total};

@if(HELD) const HELD_VECTORS: u32 = 2u;

// The width counts vectors.
struct Params {
    rows: u32,
    width: u32,
    groups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Vector>;
@group(0) @binding(2) var<storage, read> gamma: array<Vector>;
@group(0) @binding(3) var<storage, read> stats: array<vec2f>;
@group(0) @binding(4) var<storage, read> dy: array<Vector>;
@group(0) @binding(5) var<storage, read_write> dx: array<Vector>;
@if(RESIDUAL) @group(0) @binding(6) var<storage, read> residual: array<Vector>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let number = row_of(group, params.groups, thread);
    // Past the last row, all of it but the writing is done once more: barriers are for all.
    let row = min(number, params.rows - 1u);
    let first = first_of(thread);
    let base = row * params.width;
    let mean = Vector(stats[row].x);
    let r = stats[row].y;
    @if(HELD) {
        var h: array<Vector, HELD_VECTORS>;
        var g: array<Vector, HELD_VECTORS>;
        @if(RESIDUAL) var rest: array<Vector, HELD_VECTORS>;
        // All loads are under way before the first is waited for, and none waits for a branch: past the end of a row the
        // last vector is read once more, and not counted.
        for (var k = 0u; k < HELD_VECTORS; k++) { // unrolled
            let i = min(first + k * LANES, params.width - 1u);
            h[k] = x[base + i];
            g[k] = dy[base + i] * gamma[i];
            @if(RESIDUAL) {
                rest[k] = residual[base + i];
            }
        }
        var sum = Vector();
        var product = Vector();
        for (var k = 0u; k < HELD_VECTORS; k++) { // unrolled
            let inside = first + k * LANES < params.width;
            h[k] = (h[k] - mean) * r;
            sum += select(Vector(), g[k], inside);
            product += select(Vector(), g[k] * h[k], inside);
        }
        let means = row_sums(vec2f(total(sum), total(product)), thread) / f32(params.width * NUMBERS);
        if (number >= params.rows) {
            return;
        }
        for (var k = 0u; k < HELD_VECTORS; k++) { // unrolled
            let i = first + k * LANES;
            if (i < params.width) {
                var value = r * (g[k] - Vector(means.x) - h[k] * means.y);
                @if(RESIDUAL) {
                    value += rest[k];
                }
                dx[base + i] = value;
            }
        }
    }
    @if(!HELD) {
        var sum = Vector();
        var product = Vector();
        for (var i = first; i < params.width; i += LANES) {
            let g = gamma[i] * dy[base + i];
            sum += g;
            product += g * (x[base + i] - mean) * r;
        }
        let means = row_sums(vec2f(total(sum), total(product)), thread) / f32(params.width * NUMBERS);
        if (number >= params.rows) {
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
