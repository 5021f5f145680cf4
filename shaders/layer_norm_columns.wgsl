// Gradients of gamma and beta of layer normalisation, summed over a strip of rows, or with FINISH the sum of such sums.
//
// x, dy [rows, width] in vectors, stats [rows] vec2f (mean, r); dgamma, dbeta [strips, width] in vectors, all f32. With
// FINISH, partial_gamma and partial_beta [rows, width] are what was summed before. COLUMNS vectors of one strip a
// workgroup; the order of additions is fixed, so the sums have the same bits every time.
// With DIRECT, for processors, an invocation a vector of one strip and no barriers. The workgroups of a strip run over x
// and y, `across` of them along x, strips along z.
// conditions: DIRECT SCALAR FINISH

import package::lib::columns::{WORKGROUP, COLUMNS, SHARES, AHEAD, shares_sum};
import package::lib::vector::Vector;
import package::lib::spread::element;

// The width counts vectors.
struct Params {
    rows: u32,
    width: u32,
    strip: u32,
    across: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@if(!FINISH) @group(0) @binding(1) var<storage, read> x: array<Vector>;
@if(!FINISH) @group(0) @binding(2) var<storage, read> dy: array<Vector>;
@if(!FINISH) @group(0) @binding(5) var<storage, read> stats: array<vec2f>;
@if(FINISH) @group(0) @binding(1) var<storage, read> partial_gamma: array<Vector>;
@if(FINISH) @group(0) @binding(2) var<storage, read> partial_beta: array<Vector>;
@group(0) @binding(3) var<storage, read_write> dgamma: array<Vector>;
@group(0) @binding(4) var<storage, read_write> dbeta: array<Vector>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let own = element(group, params.across) * COLUMNS + thread % COLUMNS;
    // Past the last column, all of it but the writing is done once more: barriers are for all.
    let column = min(own, params.width - 1u);
    let first = group.z * params.strip;
    let end = min(first + params.strip, params.rows);
    var of_gamma = Vector(0.0);
    var of_beta = Vector(0.0);
    for (var start = first + thread / COLUMNS; start < end; start += SHARES * AHEAD) {
        var a: array<Vector, AHEAD>;
        var b: array<Vector, AHEAD>;
        @if(!FINISH) var moments: array<vec2f, AHEAD>;
        for (var k = 0u; k < AHEAD; k++) { // unrolled
            let row = min(start + k * SHARES, end - 1u);
            @if(!FINISH) {
                a[k] = x[row * params.width + column];
                b[k] = dy[row * params.width + column];
                moments[k] = stats[row];
            }
            @if(FINISH) {
                a[k] = partial_gamma[row * params.width + column];
                b[k] = partial_beta[row * params.width + column];
            }
        }
        for (var k = 0u; k < AHEAD; k++) { // unrolled
            if (start + k * SHARES < end) {
                @if(!FINISH) {
                    of_gamma += b[k] * (a[k] - Vector(moments[k].x)) * moments[k].y;
                }
                @if(FINISH) {
                    of_gamma += a[k];
                }
                of_beta += b[k];
            }
        }
    }
    of_gamma = shares_sum(of_gamma, thread);
    of_beta = shares_sum(of_beta, thread);
    if (thread < COLUMNS && own < params.width) {
        let out = group.z * params.width + own;
        dgamma[out] = of_gamma;
        dbeta[out] = of_beta;
    }
}
