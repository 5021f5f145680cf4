// A tensor of one value.
//
// y [length] f32. One invocation an element.

const WORKGROUP: u32 = 256u;

struct Params {
    length: u32,
    row: u32,
    value: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = id.y * params.row + id.x;
    if (id.x < params.row && i < params.length) {
        y[i] = params.value;
    }
}
