// What the memory of an adapter can do: to[i] = source[i].
//
// source, to [length] vec4f. One invocation a vector, side by side in memory; 32 bytes moved each.

import package::lib::spread::element;

const WORKGROUP: u32 = 256u;

struct Params {
    length: u32,
    across: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> to: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = element(id, params.across);
    if (id.x < params.across && i < params.length) {
        to[i] = source[i];
    }
}
