// How alike one row of a matrix is to each of its rows: the cosine of the angle between them.
//
// x [rows, width] f32; query [1] u32, the row that the others are compared with; cosines [rows] f32, from -1 to 1.
// One invocation a row.

import package::lib::spread::element;

const WORKGROUP: u32 = 64u;
// Keeps a row of zeros from dividing by zero: it is like nothing.
const SMALLEST: f32 = 1.0e-20;

struct Params {
    rows: u32,
    across: u32,
    width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> query: array<u32>;
@group(0) @binding(3) var<storage, read_write> cosines: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let at = element(id, params.across);
    if (id.x >= params.across || at >= params.rows) {
        return;
    }
    let own = at * params.width;
    let other = min(query[0], params.rows - 1u) * params.width;
    var product = 0.0;
    var own_square = 0.0;
    var other_square = 0.0;
    for (var i = 0u; i < params.width; i += 1u) {
        let a = x[own + i];
        let b = x[other + i];
        product += a * b;
        own_square += a * a;
        other_square += b * b;
    }
    cosines[at] = product / (sqrt(max(own_square, SMALLEST)) * sqrt(max(other_square, SMALLEST)));
}
