// A range of rows: y[b, i] = x[b, start + i]; with PAD the reverse, y[b, start + i] = x[b, i] and zero elsewhere.
//
// `outer` is the larger tensor [batches, outer, width], `inner` the smaller [batches, inner, width], f32, in vectors.
// One invocation a vector of y: COLUMNS of LINES rows a workgroup, batch elements along z, so that none divides.
// conditions: PAD SCALAR

import package::lib::vector::Vector;
import package::lib::blocks::{COLUMNS, LINES};

// The width counts vectors.
struct Params {
    outer: u32,
    inner: u32,
    start: u32,
    width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Vector>;
@group(0) @binding(2) var<storage, read_write> y: array<Vector>;

@compute @workgroup_size(COLUMNS, LINES)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let column = id.x;
    let row = id.y;
    let batch = id.z;
    @if(PAD) let rows = params.outer;
    @if(!PAD) let rows = params.inner;
    if (column >= params.width || row >= rows) {
        return;
    }
    let at = (batch * rows + row) * params.width + column;
    @if(!PAD) {
        y[at] = x[(batch * params.outer + params.start + row) * params.width + column];
    }
    @if(PAD) {
        var value = Vector(0.0);
        if (row >= params.start && row < params.start + params.inner) {
            value = x[(batch * params.inner + row - params.start) * params.width + column];
        }
        y[at] = value;
    }
}
