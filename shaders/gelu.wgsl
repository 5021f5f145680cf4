// Exact GELU, y = x Φ(x); with SLOPE y = Φ(x) + x φ(x); with GRADIENT y = dy x, of such slopes x.
//
// x, y, dy [length] f32. One invocation an element; workgroups in x and y.
// one of: - | SLOPE | GRADIENT

@if(!SLOPE && !GRADIENT) import package::lib::gelu::gelu;
@if(SLOPE) import package::lib::gelu::gelu_slope;
import package::lib::spread::element;

const WORKGROUP: u32 = 256u;

struct Params {
    length: u32,
    across: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@if(GRADIENT) @group(0) @binding(3) var<storage, read> dy: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = element(id, params.across);
    if (id.x >= params.across || i >= params.length) {
        return;
    }
    @if(!SLOPE && !GRADIENT) {
        y[i] = gelu(x[i]);
    }
    @if(SLOPE) {
        y[i] = gelu_slope(x[i]);
    }
    @if(GRADIENT) {
        y[i] = dy[i] * x[i];
    }
}
