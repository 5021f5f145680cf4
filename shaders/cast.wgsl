// The elements of x as they are: buffers of 16-bit floats round what is written to them.
//
// x, y [length] f32, or with VECTORS [length] vec4f; a kernel is made of it with one of the two stored in 16 bits. One
// invocation an element.
// conditions: VECTORS

const WORKGROUP: u32 = 256u;

struct Params {
    length: u32,
    row: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@if(VECTORS) @group(0) @binding(1) var<storage, read> x: array<vec4f>;
@if(VECTORS) @group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
@if(!VECTORS) @group(0) @binding(1) var<storage, read> x: array<f32>;
@if(!VECTORS) @group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = id.y * params.row + id.x;
    if (id.x >= params.row || i >= params.length) {
        return;
    }
    y[i] = x[i];
}
