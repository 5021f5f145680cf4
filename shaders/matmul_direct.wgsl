// Matrix product C = A B for processor adapters: register tiles read straight from memory, no barriers.
//
// NN: A [m, k], B [k, n]; NT: A [m, k], B [n, k]; TN: A [k, m], B [k, n]; C [m, n], all f32, row-major, batched.
// One invocation computes ROWS rows of 4 columns. The invocations of a workgroup share their rows of A, whose loads
// are then uniform, and lie side by side along n. Workgroup z runs over batches and, within a batch, over `splits`
// parts of k, whose partial products a later launch adds up in order.
//
// Epilogue: BIAS adds bias [n]; RESIDUAL adds residual [residual_rows, n], repeated over rows; GELU applies the exact
// GELU (KEEP also writes its argument to `kept`); GELU_GRADIENT multiplies by GELU'(argument [m, n]).
// SCALAR reads and writes single elements, for rows whose length is no multiple of 4.
// one of: NN | NT | TN
// one of: - | BIAS | BIAS+RESIDUAL | RESIDUAL | BIAS+GELU | BIAS+GELU+KEEP | GELU_GRADIENT
// conditions: SCALAR

import package::lib::product::{params, a4, b4, finish};

const LANES: u32 = 8u;
const ROWS: u32 = 32u;

// Four steps along k of one row of C.
@if(!TN)
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
    for (var r = 0u; r < ROWS; r += 1u) {
        sum[r] = vec4f();
    }

    @if(TN) {
        for (var k = k0; k < k1; k += 1u) {
            let y = b4(b0 + k * params.n + column, columns);
            let line = a0 + k * params.m + row0;
            for (var r = 0u; r < ROWS; r += 4u) {
                if (r < rows) {
                    let x = a4(line + r, rows - r);
                    sum[r] += x.x * y;
                    sum[r + 1u] += x.y * y;
                    sum[r + 2u] += x.z * y;
                    sum[r + 3u] += x.w * y;
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
            for (var r = 0u; r < ROWS; r += 1u) {
                let x = a4(a0 + (row0 + min(r, rows - 1u)) * params.k + k, left);
                sum[r] += four_steps(x, y0, y1, y2, y3);
            }
        }
    }

    let c0 = group.z * params.m * params.n;
    for (var r = 0u; r < ROWS; r += 1u) {
        if (r >= rows) {
            break;
        }
        finish(sum[r], c0, row0 + r, column);
    }
}
