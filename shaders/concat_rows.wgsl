// Rows of a followed by rows of b: y[batch] = [a[batch], b[batch]].
//
// a [1 or batches, a_rows, width], b [batches, b_rows, width], y [batches, a_rows + b_rows, width], f32, in vectors.
// One invocation a vector of y: COLUMNS of LINES rows a workgroup, batch elements along z, so that none divides.
// conditions: SCALAR

import package::lib::vector::Vector;
import package::lib::blocks::{COLUMNS, LINES};

// The width counts vectors.
struct Params {
    a_rows: u32,
    b_rows: u32,
    width: u32,
    a_batches: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<Vector>;
@group(0) @binding(2) var<storage, read> b: array<Vector>;
@group(0) @binding(3) var<storage, read_write> y: array<Vector>;

@compute @workgroup_size(COLUMNS, LINES)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let column = id.x;
    let row = id.y;
    let batch = id.z;
    let rows = params.a_rows + params.b_rows;
    if (column >= params.width || row >= rows) {
        return;
    }
    let at = (batch * rows + row) * params.width + column;
    if (row < params.a_rows) {
        let a_batch = select(batch, 0u, params.a_batches == 1u);
        y[at] = a[(a_batch * params.a_rows + row) * params.width + column];
    } else {
        y[at] = b[(batch * params.b_rows + row - params.a_rows) * params.width + column];
    }
}
