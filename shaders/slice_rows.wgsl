// A range of rows: y[b, i] = x[b, start + i]; with PAD the reverse, y[b, start + i] = x[b, i] and zero elsewhere.
//
// `outer` is the larger tensor [batches, outer, width], `inner` the smaller [batches, inner, width], f32, in vectors.
// One invocation a vector of y.
// conditions: PAD SCALAR

import package::lib::vector::Vector;

const WORKGROUP: u32 = 256u;

// Length and width count vectors.
struct Params {
    length: u32,
    row: u32,
    outer: u32,
    inner: u32,
    start: u32,
    width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Vector>;
@group(0) @binding(2) var<storage, read_write> y: array<Vector>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = id.y * params.row + id.x;
    if (id.x >= params.row || i >= params.length) {
        return;
    }
    let line = i / params.width;
    let column = i % params.width;
    @if(!PAD) {
        let batch = line / params.inner;
        let source = batch * params.outer + params.start + line % params.inner;
        y[i] = x[source * params.width + column];
    }
    @if(PAD) {
        let batch = line / params.outer;
        let place = line % params.outer;
        var value = Vector();
        if (place >= params.start && place < params.start + params.inner) {
            value = x[(batch * params.inner + place - params.start) * params.width + column];
        }
        y[i] = value;
    }
}
