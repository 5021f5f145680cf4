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
// SUBGROUPS is for adapters whose subgroups are exactly the 8 invocations of a workgroup, where every load costs the
// same whatever its address: each invocation loads another part of A and all get it by broadcast. ROWS is then a
// multiple of 8, in form TN 32.
// one of: NN | NT | TN
// one of: - | BIAS | BIAS+RESIDUAL | RESIDUAL | BIAS+GELU | BIAS+GELU+KEEP | GELU_GRADIENT
// one of: - | SCALAR | SUBGROUPS

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
    let wanted = (group.x * LANES + lane.x) * 4u;
    // For broadcasts all invocations must take part; those beyond n repeat the last columns and write nothing.
    @if(SUBGROUPS) let column = min(wanted, params.n - 4u);
    @if(!SUBGROUPS) let column = wanted;
    let batch = group.z / params.splits;
    let split = group.z % params.splits;
    @if(!SUBGROUPS) {
        if (column >= params.n || row0 >= params.m) {
            return;
        }
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
            @if(SUBGROUPS) {
                let x = a4(a0 + k * params.m + min(row0 + lane.x * 4u, params.m - 4u), 4u);
                let w0 = subgroupBroadcast(x, 0u);
                sum[0] += w0.x * y;
                sum[1] += w0.y * y;
                sum[2] += w0.z * y;
                sum[3] += w0.w * y;
                let w1 = subgroupBroadcast(x, 1u);
                sum[4] += w1.x * y;
                sum[5] += w1.y * y;
                sum[6] += w1.z * y;
                sum[7] += w1.w * y;
                let w2 = subgroupBroadcast(x, 2u);
                sum[8] += w2.x * y;
                sum[9] += w2.y * y;
                sum[10] += w2.z * y;
                sum[11] += w2.w * y;
                let w3 = subgroupBroadcast(x, 3u);
                sum[12] += w3.x * y;
                sum[13] += w3.y * y;
                sum[14] += w3.z * y;
                sum[15] += w3.w * y;
                let w4 = subgroupBroadcast(x, 4u);
                sum[16] += w4.x * y;
                sum[17] += w4.y * y;
                sum[18] += w4.z * y;
                sum[19] += w4.w * y;
                let w5 = subgroupBroadcast(x, 5u);
                sum[20] += w5.x * y;
                sum[21] += w5.y * y;
                sum[22] += w5.z * y;
                sum[23] += w5.w * y;
                let w6 = subgroupBroadcast(x, 6u);
                sum[24] += w6.x * y;
                sum[25] += w6.y * y;
                sum[26] += w6.z * y;
                sum[27] += w6.w * y;
                let w7 = subgroupBroadcast(x, 7u);
                sum[28] += w7.x * y;
                sum[29] += w7.y * y;
                sum[30] += w7.z * y;
                sum[31] += w7.w * y;
            }
            @if(!SUBGROUPS) {
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
            @if(SUBGROUPS) {
                for (var r = 0u; r < ROWS; r += 8u) {
                    let x = a4(a0 + min(row0 + r + lane.x, params.m - 1u) * params.k + k, 4u);
                    sum[r + 0u] += four_steps(subgroupBroadcast(x, 0u), y0, y1, y2, y3);
                    sum[r + 1u] += four_steps(subgroupBroadcast(x, 1u), y0, y1, y2, y3);
                    sum[r + 2u] += four_steps(subgroupBroadcast(x, 2u), y0, y1, y2, y3);
                    sum[r + 3u] += four_steps(subgroupBroadcast(x, 3u), y0, y1, y2, y3);
                    sum[r + 4u] += four_steps(subgroupBroadcast(x, 4u), y0, y1, y2, y3);
                    sum[r + 5u] += four_steps(subgroupBroadcast(x, 5u), y0, y1, y2, y3);
                    sum[r + 6u] += four_steps(subgroupBroadcast(x, 6u), y0, y1, y2, y3);
                    sum[r + 7u] += four_steps(subgroupBroadcast(x, 7u), y0, y1, y2, y3);
                }
            }
            @if(!SUBGROUPS) {
                for (var r = 0u; r < ROWS; r += 1u) {
                    let x = a4(a0 + (row0 + min(r, rows - 1u)) * params.k + k, left);
                    sum[r] += four_steps(x, y0, y1, y2, y3);
                }
            }
        }
    }

    let c0 = group.z * params.m * params.n;
    for (var r = 0u; r < ROWS; r += 1u) {
        if (r >= rows || wanted >= params.n) {
            break;
        }
        finish(sum[r], c0, row0 + r, column);
    }
}
