// Sum with the second operand repeated along the leading axes: y[i] = a[i] + b[i mod period].
//
// a, y [length], b [period] f32, in vectors; period divides length. One invocation a vector.
// conditions: SCALAR

import package::lib::vector::Vector;
import package::lib::spread::element;

const WORKGROUP: u32 = 256u;

// Length and period count vectors.
struct Params {
    length: u32,
    across: u32,
    period: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<Vector>;
@group(0) @binding(2) var<storage, read> b: array<Vector>;
@group(0) @binding(3) var<storage, read_write> y: array<Vector>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = element(id, params.across);
    if (id.x < params.across && i < params.length) {
        y[i] = a[i] + b[i % params.period];
    }
}
