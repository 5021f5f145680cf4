// Layer normalisation of rows: y = gamma (x - mean) / sqrt(variance + eps) + beta, variance biased.
//
// x, y [rows, width], gamma, beta [width] in vectors; stats [rows] vec2f (mean, 1 / sqrt(variance + eps)), all f32.
// LANES invocations a row: the mean first, then the centred variance. With HELD, an invocation holds what it has of the
// row, HELD_VECTORS of them or less, so that memory is read once; without, rows may have any width. With DIRECT, for
// processors, one invocation a row and no barriers.
// src/ops/layer_norm.rs sets HELD_VECTORS.
// one of: HELD | - | SCALAR | DIRECT | DIRECT+SCALAR

import package::lib::rows::{WORKGROUP, LANES, row_of, first_of, row_sum};
import package::lib::vector::{Vector, NUMBERS, total};

@if(HELD) const HELD_VECTORS: u32 = 2u;

// The width counts vectors.
struct Params {
    rows: u32,
    width: u32,
    groups: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Vector>;
@group(0) @binding(2) var<storage, read> gamma: array<Vector>;
@group(0) @binding(3) var<storage, read> beta: array<Vector>;
@group(0) @binding(4) var<storage, read_write> y: array<Vector>;
@group(0) @binding(5) var<storage, read_write> stats: array<vec2f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let number = row_of(group, params.groups, thread);
    // Past the last row, all of it but the writing is done once more: barriers are for all.
    let row = min(number, params.rows - 1u);
    let first = first_of(thread);
    let base = row * params.width;
    let scale = 1.0 / f32(params.width * NUMBERS);
    @if(HELD) var held: array<Vector, HELD_VECTORS>;
    var sum = Vector(0.0);
    @if(HELD) {
        // No load waits for a branch: past the end of a row the last vector is read once more, and not counted.
        for (var k = 0u; k < HELD_VECTORS; k++) { // unrolled
            held[k] = x[base + min(first + k * LANES, params.width - 1u)];
        }
        for (var k = 0u; k < HELD_VECTORS; k++) { // unrolled
            sum += select(Vector(0.0), held[k], first + k * LANES < params.width);
        }
    }
    @if(!HELD) {
        for (var i = first; i < params.width; i += LANES) {
            sum += x[base + i];
        }
    }
    let mean = row_sum(total(sum), thread) * scale;
    var squares = Vector(0.0);
    @if(HELD) {
        for (var k = 0u; k < HELD_VECTORS; k++) { // unrolled
            held[k] -= Vector(mean);
            squares += select(Vector(0.0), held[k] * held[k], first + k * LANES < params.width);
        }
    }
    @if(!HELD) {
        for (var i = first; i < params.width; i += LANES) {
            let d = x[base + i] - Vector(mean);
            squares += d * d;
        }
    }
    let variance = row_sum(total(squares), thread) * scale;
    let r = inverseSqrt(variance + params.eps);
    if (number >= params.rows) {
        return;
    }
    @if(HELD) {
        for (var k = 0u; k < HELD_VECTORS; k++) { // unrolled
            let i = first + k * LANES;
            if (i < params.width) {
                y[base + i] = held[k] * r * gamma[i] + beta[i];
            }
        }
    }
    @if(!HELD) {
        for (var i = first; i < params.width; i += LANES) {
            y[base + i] = (x[base + i] - Vector(mean)) * r * gamma[i] + beta[i];
        }
    }
    if (first == 0u) {
        stats[row] = vec2f(mean, r);
    }
}
