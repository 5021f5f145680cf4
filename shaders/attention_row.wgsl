// One row of the attention matrix of every head: how much one token looks at each of the others.
//
// qkv [tokens, 3, heads, 4 vectors] f32; lse [heads, tokens] f32, the logarithm of each query's sum of exponentials;
// query [1] u32, the token that looks; probabilities [heads, tokens] f32, each row of which adds up to 1.
// One invocation a head and key.

import package::lib::spread::element;

const WORKGROUP: u32 = 64u;

struct Params {
    length: u32,
    across: u32,
    tokens: u32,
    heads: u32,
    vectors: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read> lse: array<f32>;
@group(0) @binding(3) var<storage, read> query: array<u32>;
@group(0) @binding(4) var<storage, read_write> probabilities: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let at = element(id, params.across);
    if (id.x >= params.across || at >= params.length) {
        return;
    }
    let head = at / params.tokens;
    let key = at % params.tokens;
    let token = min(query[0], params.tokens - 1u);
    let q = (token * 3u * params.heads + head) * params.vectors;
    let k = ((key * 3u + 1u) * params.heads + head) * params.vectors;
    var logit = 0.0;
    for (var d = 0u; d < params.vectors; d += 1u) {
        logit += dot(qkv[q + d], qkv[k + d]);
    }
    probabilities[at] = exp(logit * params.scale - lse[head * params.tokens + token]);
}
