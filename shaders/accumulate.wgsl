// Gradient accumulation over a flat shard: sum[i] += x[i], or with FIRST sum[i] = x[i].
//
// x, sum [length] f32, in vectors. One invocation a vector.
// conditions: FIRST SCALAR

import package::lib::vector::Vector;
import package::lib::spread::element;

const WORKGROUP: u32 = 256u;

// The length counts vectors.
struct Params {
    length: u32,
    across: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Vector>;
@group(0) @binding(2) var<storage, read_write> sum: array<Vector>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = element(id, params.across);
    if (id.x < params.across && i < params.length) {
        @if(FIRST) {
            sum[i] = x[i];
        }
        @if(!FIRST) {
            sum[i] += x[i];
        }
    }
}
