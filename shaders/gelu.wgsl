// Exact GELU, y = x Φ(x), or with GRADIENT dx = dy (Φ(x) + x φ(x)).
//
// x, y, dy, dx [length] f32. One invocation an element; workgroups in x and y.
// conditions: GRADIENT

import package::lib::gelu::gelu;
import package::lib::gelu::gelu_derivative;

const WORKGROUP: u32 = 256u;

struct Params {
    length: u32,
    row: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@if(GRADIENT) @group(0) @binding(3) var<storage, read> dy: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = id.y * params.row + id.x;
    if (id.x >= params.row || i >= params.length) {
        return;
    }
    @if(!GRADIENT) {
        y[i] = gelu(x[i]);
    }
    @if(GRADIENT) {
        y[i] = dy[i] * gelu_derivative(x[i]);
    }
}
