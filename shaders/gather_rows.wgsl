// Rows of x picked by index: y[b, k] = x[b, index[b, k]], or the fill row where the index is out of range.
//
// x [1 or batches, rows, width], y [batches, picked, width] f32, in vectors, index [batches, picked] u32; fill [width] in
// vectors with FILL, zero without. One invocation a vector of y.
// conditions: FILL SCALAR

import package::lib::vector::Vector;

const WORKGROUP: u32 = 256u;

// Length and width count vectors.
struct Params {
    length: u32,
    row: u32,
    rows: u32,
    picked: u32,
    width: u32,
    x_batches: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Vector>;
@group(0) @binding(2) var<storage, read> index: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<Vector>;
@if(FILL) @group(0) @binding(4) var<storage, read> fill: array<Vector>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = id.y * params.row + id.x;
    if (id.x >= params.row || i >= params.length) {
        return;
    }
    let line = i / params.width;
    let column = i % params.width;
    let picked = index[line];
    @if(FILL) var value = fill[column];
    @if(!FILL) var value = Vector();
    if (picked < params.rows) {
        let batch = (line / params.picked) % params.x_batches;
        value = x[(batch * params.rows + picked) * params.width + column];
    }
    y[i] = value;
}
