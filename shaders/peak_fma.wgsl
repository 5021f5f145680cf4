// What the arithmetic of an adapter can do: two independent chains of fused multiply-adds x <- a x + b an invocation, on
// vectors of four, with next to no memory.
//
// out [length] f32: the sum over the components of both chains after 8 * rounds steps. Chains begin at 0, 1, 2, 3 and
// their opposites, plus i mod STARTS for invocation i. One invocation an element; 128 * rounds operations each.

import package::lib::spread::element;

const WORKGROUP: u32 = 64u;
const STARTS: u32 = 64u;
// Below 1, so that chains of any length stay finite, and without denormals.
const FACTOR: vec4f = vec4f(0.999, 0.998, 0.997, 0.996);
const SUMMAND: vec4f = vec4f(0.001, 0.002, 0.003, 0.004);

struct Params {
    length: u32,
    across: u32,
    rounds: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;

fn advance(x: vec4f) -> vec4f {
    return fma(x, FACTOR, SUMMAND);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = element(id, params.across);
    if (id.x >= params.across || i >= params.length) {
        return;
    }
    let start = vec4f(0.0, 1.0, 2.0, 3.0);
    var x = f32(i % STARTS) + start;
    var y = f32(i % STARTS) - start;
    // Eight steps are written out, so that the loop itself costs little.
    for (var round = 0u; round < params.rounds; round += 1u) {
        x = advance(x);
        y = advance(y);
        x = advance(x);
        y = advance(y);
        x = advance(x);
        y = advance(y);
        x = advance(x);
        y = advance(y);
        x = advance(x);
        y = advance(y);
        x = advance(x);
        y = advance(y);
        x = advance(x);
        y = advance(y);
        x = advance(x);
        y = advance(y);
    }
    out[i] = dot(x + y, vec4f(1.0));
}
