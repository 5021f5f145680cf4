// Rows of x picked by index: y[b, k] = x[b, index[b, k]], or the fill row where the index is out of range.
//
// x [1 or batches, rows, width], y [batches, picked, width] f32, in vectors, index [batches, picked] u32; fill [width] in
// vectors with FILL, zero without.
// One invocation a vector of y: COLUMNS of LINES rows a workgroup, batch elements along z, so that none divides.
// conditions: FILL SCALAR

import package::lib::vector::Vector;
import package::lib::blocks::{COLUMNS, LINES};

// The width counts vectors.
struct Params {
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

@compute @workgroup_size(COLUMNS, LINES)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let column = id.x;
    let row = id.y;
    let batch = id.z;
    if (column >= params.width || row >= params.picked) {
        return;
    }
    let line = batch * params.picked + row;
    let source = index[line];
    @if(FILL) var value = fill[column];
    @if(!FILL) var value = Vector(0.0);
    if (source < params.rows) {
        let x_batch = select(batch, 0u, params.x_batches == 1u);
        value = x[(x_batch * params.rows + source) * params.width + column];
    }
    y[line * params.width + column] = value;
}
