// Matrix product C = A B for processor adapters: register tiles read straight from memory, no barriers.
//
// NN: A [m, k], B [k, n]; NT: A [m, k], B [n, k]; TN: A [k, m], B [k, n]; C [m, n], all f32, row-major, batched.
// One invocation computes ROWS rows of 4 columns, in QUADS quads of rows; loops over them are written out, which keeps
// the sums in registers. The invocations of a workgroup share their rows of A, whose loads are then uniform, and lie side
// by side along n. Workgroup z runs over batches and, within a batch, over `splits` parts of k, whose partial products a
// later launch adds up in order.
//
// Epilogue: BIAS adds bias [n]; RESIDUAL adds residual [residual_rows, n], repeated over rows; GELU applies the exact
// GELU (SLOPE also writes its slope to `slopes`); GELU_GRADIENT multiplies by such slopes [m, n].
// SUMS is for TN: the first workgroups of each row of tiles also sum A over k into column_sums [splits, m].
// SCALAR reads and writes single elements, for rows whose length is no multiple of 4.
// src/ops/matmul.rs sets LANES, ROWS and QUADS.
// one of: NN | NT | TN
// one of: - | BIAS | BIAS+RESIDUAL | RESIDUAL | BIAS+GELU | BIAS+GELU+SLOPE | GELU_GRADIENT | SUMS
// never: SUMS+NN | SUMS+NT
// conditions: SCALAR

import package::lib::product::{params, a4, b4, finish};
@if(SUMS) import package::lib::product::finish_sums;

const LANES: u32 = 8u;
const ROWS: u32 = 8u;
const QUADS: u32 = 2u;

// Four steps along k of one row of C.
fn four_steps(x: vec4f, y0: vec4f, y1: vec4f, y2: vec4f, y3: vec4f) -> vec4f {
    return x.x * y0 + x.y * y1 + x.z * y2 + x.w * y3;
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) lane: vec3u) {
    let row0 = group.y * ROWS;
    let column = (group.x * LANES + lane.x) * 4u;
    let batch = group.z / params.splits;
    let split = group.z % params.splits;
    if (column >= params.n || row0 >= params.m) {
        return;
    }
    let k0 = split * params.k_split;
    let k1 = min(params.k, k0 + params.k_split);
    let rows = min(ROWS, params.m - row0);
    let columns = params.n - column;
    let a0 = batch * params.a_stride;
    let b0 = batch * params.b_stride;
    var sum: array<vec4f, ROWS>;
    for (var r = 0u; r < ROWS; r++) { // unrolled
        sum[r] = vec4f();
    }

    // The sums of A over k, in the first workgroup of each row of tiles.
    @if(SUMS) let sums_a = group.x == 0u;
    @if(SUMS) var sum_a = array<vec4f, QUADS>();

    @if(TN) {
        // Four steps at a time, as below, then those that are left.
        let whole = k0 + (k1 - k0) / 4u * 4u;
        for (var k = k0; k < whole; k += 4u) {
            let at = b0 + k * params.n + column;
            let y0 = b4(at, columns);
            let y1 = b4(at + params.n, columns);
            let y2 = b4(at + 2u * params.n, columns);
            let y3 = b4(at + 3u * params.n, columns);
            for (var q = 0u; q < QUADS; q++) { // unrolled
                let r = q * 4u;
                // Rows beyond m repeat others and are not written.
                let row = min(r, (rows - 1u) / 4u * 4u);
                let line = a0 + k * params.m + row0 + row;
                let x0 = a4(line, rows - row);
                let x1 = a4(line + params.m, rows - row);
                let x2 = a4(line + 2u * params.m, rows - row);
                let x3 = a4(line + 3u * params.m, rows - row);
                @if(SUMS) {
                    if (sums_a) {
                        sum_a[q] += x0 + x1 + x2 + x3;
                    }
                }
                sum[q * 4u] += four_steps(vec4f(x0.x, x1.x, x2.x, x3.x), y0, y1, y2, y3);
                sum[q * 4u + 1u] += four_steps(vec4f(x0.y, x1.y, x2.y, x3.y), y0, y1, y2, y3);
                sum[q * 4u + 2u] += four_steps(vec4f(x0.z, x1.z, x2.z, x3.z), y0, y1, y2, y3);
                sum[q * 4u + 3u] += four_steps(vec4f(x0.w, x1.w, x2.w, x3.w), y0, y1, y2, y3);
            }
        }
        for (var k = whole; k < k1; k += 1u) {
            let y = b4(b0 + k * params.n + column, columns);
            let line = a0 + k * params.m + row0;
            for (var q = 0u; q < QUADS; q++) { // unrolled
                let r = q * 4u;
                if (r < rows) {
                    let x = a4(line + r, rows - r);
                    @if(SUMS) {
                        if (sums_a) {
                            sum_a[q] += x;
                        }
                    }
                    sum[q * 4u] += x.x * y;
                    sum[q * 4u + 1u] += x.y * y;
                    sum[q * 4u + 2u] += x.z * y;
                    sum[q * 4u + 3u] += x.w * y;
                }
            }
        }
    }
    @if(!TN) {
        for (var k = k0; k < k1; k += 4u) {
            let left = k1 - k;
            // Rows of B beyond k meet zeros of A, but must not be read.
            @if(NN) let last = k1 - 1u;
            @if(NN) let y0 = b4(b0 + k * params.n + column, columns);
            @if(NN) let y1 = b4(b0 + min(k + 1u, last) * params.n + column, columns);
            @if(NN) let y2 = b4(b0 + min(k + 2u, last) * params.n + column, columns);
            @if(NN) let y3 = b4(b0 + min(k + 3u, last) * params.n + column, columns);
            // Columns beyond n repeat the last one and are not written.
            @if(NT) let last = params.n - 1u;
            @if(NT) let z0 = b4(b0 + column * params.k + k, left);
            @if(NT) let z1 = b4(b0 + min(column + 1u, last) * params.k + k, left);
            @if(NT) let z2 = b4(b0 + min(column + 2u, last) * params.k + k, left);
            @if(NT) let z3 = b4(b0 + min(column + 3u, last) * params.k + k, left);
            @if(NT) let y0 = vec4f(z0.x, z1.x, z2.x, z3.x);
            @if(NT) let y1 = vec4f(z0.y, z1.y, z2.y, z3.y);
            @if(NT) let y2 = vec4f(z0.z, z1.z, z2.z, z3.z);
            @if(NT) let y3 = vec4f(z0.w, z1.w, z2.w, z3.w);
            // Rows beyond m repeat the last one and are not written.
            for (var r = 0u; r < ROWS; r++) { // unrolled
                let x = a4(a0 + (row0 + min(r, rows - 1u)) * params.k + k, left);
                sum[r] += four_steps(x, y0, y1, y2, y3);
            }
        }
    }

    @if(SUMS) {
        if (sums_a && lane.x == 0u) {
            for (var q = 0u; q < QUADS; q++) { // unrolled
                finish_sums(sum_a[q], group.z, row0 + q * 4u);
            }
        }
    }
    let c0 = group.z * params.m * params.n;
    for (var r = 0u; r < ROWS; r++) { // unrolled
        if (r < rows) {
            finish(sum[r], c0, row0 + r, column, true);
        }
    }
}
