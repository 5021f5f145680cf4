// Matrix product C = A B for processor adapters whose subgroups are exactly the 8 invocations of a workgroup, where every
// load costs the same whatever its address: each invocation loads another part of A and all get it by broadcast.
//
// NN: A [m, k], B [k, n]; NT: A [m, k], B [n, k]; TN: A [k, m], B [k, n]; C [m, n], all f32, row-major, batched; rows
// are whole vectors of 4. One invocation computes ROWS rows of COLUMNS times 4 columns, in registers; those of a
// workgroup share the rows and lie side by side along n. Workgroup z runs over batches and, within a batch, over
// `splits` parts of k, whose partial products a later launch adds up in order. Sums run along k one by one.
//
// Epilogue: BIAS adds bias [n]; RESIDUAL adds residual [residual_rows, n], repeated over rows; GELU applies the exact
// GELU (SLOPE also writes its slope to `slopes`); GELU_GRADIENT multiplies by such slopes [m, n].
// SUMS is for TN: the first workgroups of each row of tiles also sum A over k into column_sums [splits, m].
// src/ops/matmul.rs sets ROWS, COLUMNS, GROUPS and WAITING.
// one of: WITH_SUBGROUPS
// one of: NN | NT | TN
// one of: - | BIAS | BIAS+RESIDUAL | RESIDUAL | BIAS+GELU | BIAS+GELU+SLOPE | GELU_GRADIENT | SUMS
// never: SUMS+NN | SUMS+NT

import package::lib::product::{params, a4, b4, finish};
@if(SUMS) import package::lib::product::finish_sums;

const LANES: u32 = 8u;
const ROWS: u32 = 32u;
const COLUMNS: u32 = 1u;
// Loads of A that cover the rows: ROWS / 8, in form TN ROWS / 32.
@if(TN) const GROUPS: u32 = 1u;
@if(!TN) const GROUPS: u32 = 4u;
// Sums of all rows but four.
const WAITING: u32 = 28u;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) id: vec3u) {
    let lane = id.x;
    let row0 = group.y * ROWS;
    // All invocations take part in broadcasts: those beyond n repeat the last columns and write nothing.
    let column0 = (group.x * COLUMNS * LANES + lane) * 4u;
    let batch = group.z / params.splits;
    let split = group.z % params.splits;
    let k0 = split * params.k_split;
    let k1 = min(params.k, k0 + params.k_split);
    let a0 = batch * params.a_stride;
    let b0 = batch * params.b_stride;
    // sum[r * COLUMNS + c] holds row r, columns c.
    var sum = array<vec4f, ROWS * COLUMNS>();

    // The sums over k of what this invocation reads of A.
    @if(SUMS) var sum_a = array<vec4f, GROUPS>();

    @if(TN) {
        for (var k = k0; k < k1; k += 1u) {
            var y = array<vec4f, COLUMNS>();
            for (var c = 0u; c < COLUMNS; c++) { // unrolled
                y[c] = b4(b0 + k * params.n + min(column0 + c * LANES * 4u, params.n - 4u), 4u);
            }
            for (var g = 0u; g < GROUPS; g++) { // unrolled
                let mine = a4(a0 + k * params.m + min(row0 + (g * LANES + lane) * 4u, params.m - 4u), 4u);
                @if(SUMS) {
                    sum_a[g] += mine;
                }
                for (var j = 0u; j < LANES; j++) { // unrolled
                    let x = subgroupBroadcast(mine, j);
                    for (var c = 0u; c < COLUMNS; c++) { // unrolled
                        sum[(g * LANES + j) * 4u * COLUMNS + c] += x.x * y[c];
                        sum[((g * LANES + j) * 4u + 1u) * COLUMNS + c] += x.y * y[c];
                        sum[((g * LANES + j) * 4u + 2u) * COLUMNS + c] += x.z * y[c];
                        sum[((g * LANES + j) * 4u + 3u) * COLUMNS + c] += x.w * y[c];
                    }
                }
            }
        }
    }
    @if(!TN) {
        for (var k = k0; k < k1; k += 4u) {
            // y[c * 4 + s] holds columns c at k + s.
            var y = array<vec4f, COLUMNS * 4u>();
            for (var c = 0u; c < COLUMNS; c++) { // unrolled
                @if(NN) {
                    let column = min(column0 + c * LANES * 4u, params.n - 4u);
                    for (var s = 0u; s < 4u; s++) { // unrolled
                        y[c * 4u + s] = b4(b0 + (k + s) * params.n + column, 4u);
                    }
                }
                @if(NT) {
                    let column = min(column0 + c * LANES * 4u, params.n - 4u);
                    let z0 = b4(b0 + column * params.k + k, 4u);
                    let z1 = b4(b0 + (column + 1u) * params.k + k, 4u);
                    let z2 = b4(b0 + (column + 2u) * params.k + k, 4u);
                    let z3 = b4(b0 + (column + 3u) * params.k + k, 4u);
                    y[c * 4u] = vec4f(z0.x, z1.x, z2.x, z3.x);
                    y[c * 4u + 1u] = vec4f(z0.y, z1.y, z2.y, z3.y);
                    y[c * 4u + 2u] = vec4f(z0.z, z1.z, z2.z, z3.z);
                    y[c * 4u + 3u] = vec4f(z0.w, z1.w, z2.w, z3.w);
                }
            }
            for (var g = 0u; g < GROUPS; g++) { // unrolled
                // Rows beyond m repeat the last one and are not written.
                let mine = a4(a0 + min(row0 + g * LANES + lane, params.m - 1u) * params.k + k, 4u);
                for (var j = 0u; j < LANES; j++) { // unrolled
                    let x = subgroupBroadcast(mine, j);
                    for (var c = 0u; c < COLUMNS; c++) { // unrolled
                        var s = sum[(g * LANES + j) * COLUMNS + c];
                        s += x.x * y[c * 4u];
                        s += x.y * y[c * 4u + 1u];
                        s += x.z * y[c * 4u + 2u];
                        s += x.w * y[c * 4u + 3u];
                        sum[(g * LANES + j) * COLUMNS + c] = s;
                    }
                }
            }
        }
    }

    @if(SUMS) {
        if (group.x == 0u) {
            for (var g = 0u; g < GROUPS; g++) { // unrolled
                finish_sums(sum_a[g], group.z, row0 + (g * LANES + lane) * 4u);
            }
        }
    }
    let c0 = group.z * params.m * params.n;
    // Four rows at a time, the others moving up: written out for every row, this would take long to compile.
    for (var first = row0; first < row0 + ROWS; first += 4u) {
        for (var r = 0u; r < 4u; r++) { // unrolled
            for (var c = 0u; c < COLUMNS; c++) { // unrolled
                let column = column0 + c * LANES * 4u;
                if (first + r < params.m && column < params.n) {
                    finish(sum[r * COLUMNS + c], c0, first + r, column, true);
                }
            }
        }
        for (var i = 0u; i < WAITING; i++) { // unrolled
            sum[i] = sum[i + 4u * COLUMNS];
        }
    }
}
