// A tensor of one value.
//
// y [length] f32. One invocation an element.

import package::lib::spread::element;

const WORKGROUP: u32 = 256u;

struct Params {
    length: u32,
    across: u32,
    value: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = element(id, params.across);
    if (id.x < params.across && i < params.length) {
        y[i] = params.value;
    }
}
