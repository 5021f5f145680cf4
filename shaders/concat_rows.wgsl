// Rows of a followed by rows of b: y[batch] = [a[batch], b[batch]].
//
// a [1 or batches, a_rows, width], b [batches, b_rows, width], y [batches, a_rows + b_rows, width], f32, in
// vectors. One invocation a vector of y.
// conditions: SCALAR

import package::lib::vector::Vector;

const WORKGROUP: u32 = 256u;

// Length and width count vectors.
struct Params {
    length: u32,
    row: u32,
    a_rows: u32,
    b_rows: u32,
    width: u32,
    a_batches: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<Vector>;
@group(0) @binding(2) var<storage, read> b: array<Vector>;
@group(0) @binding(3) var<storage, read_write> y: array<Vector>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = id.y * params.row + id.x;
    if (id.x >= params.row || i >= params.length) {
        return;
    }
    let line = i / params.width;
    let column = i % params.width;
    let batch = line / (params.a_rows + params.b_rows);
    let place = line % (params.a_rows + params.b_rows);
    if (place < params.a_rows) {
        y[i] = a[((batch % params.a_batches) * params.a_rows + place) * params.width + column];
    } else {
        y[i] = b[(batch * params.b_rows + place - params.a_rows) * params.width + column];
    }
}
