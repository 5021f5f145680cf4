// Sum with the second operand repeated along the leading axes: y[i] = a[i] + b[i mod period].
//
// a, y [length], b [period] f32; period divides length. One invocation an element.

const WORKGROUP: u32 = 256u;

struct Params {
    length: u32,
    row: u32,
    period: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = id.y * params.row + id.x;
    if (id.x < params.row && i < params.length) {
        y[i] = a[i] + b[i % params.period];
    }
}
