// Multi-head attention without its matrix, as attention.wgsl, for processor adapters: no private arrays, no workgroup
// memory, no barriers, and as many operations a load as registers allow.
//
// qkv [batch, tokens, 3, heads, 4 vectors], o [batch, tokens, heads, 4 vectors], lse [batch, heads, tokens], f32. One
// invocation takes OWN queries of one head and goes over the keys in order, GROUP at a time, with products of 4 by 4
// blocks; all invocations of a workgroup read the same keys. Sums of values stay in o, where no one else reads or
// writes. Tokens along x, LANES * OWN a workgroup, heads along y, batch along z.

import package::lib::heads_direct::{params, qkv, LANES, OWN, GROUP, four, places, places_out, load};
import package::lib::logits::LOWEST;

@group(0) @binding(2) var<storage, read_write> o: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> lse: array<f32>;

fn load_sum(at: vec4u) -> mat4x4f {
    return mat4x4f(o[at.x], o[at.y], o[at.z], o[at.w]);
}

// Queries beyond the last token repeat it, so that what they write is what it writes.
fn store_sum(at: vec4u, sum: mat4x4f) {
    o[at.x] = sum[0];
    o[at.y] = sum[1];
    o[at.z] = sum[2];
    o[at.w] = sum[3];
}

// Logits of four keys from `first` on, a column each; keys beyond the last token get no weight.
fn logits(products: mat4x4f, first: u32) -> mat4x4f {
    let none = vec4f(LOWEST);
    return mat4x4f(
        select(none, products[0] * params.scale, first < params.tokens),
        select(none, products[1] * params.scale, first + 1u < params.tokens),
        select(none, products[2] * params.scale, first + 2u < params.tokens),
        select(none, products[3] * params.scale, first + 3u < params.tokens),
    );
}

fn largest(m: mat4x4f) -> vec4f {
    return max(max(m[0], m[1]), max(m[2], m[3]));
}

fn weights(logits: mat4x4f, most: vec4f) -> mat4x4f {
    return mat4x4f(exp(logits[0] - most), exp(logits[1] - most), exp(logits[2] - most), exp(logits[3] - most));
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let own = (group.x * LANES + lane) * OWN;
    let head = group.y;
    let batch = group.z;
    if (own >= params.tokens) {
        return;
    }
    let q = places(batch, four(own), 0u, head);
    let to = places_out(batch, four(own), head);
    for (var d = 0u; d < params.vectors; d += 1u) {
        store_sum(to + d, mat4x4f());
    }
    var most = vec4f(LOWEST);
    var total = vec4f();
    for (var first = 0u; first < params.tokens; first += GROUP) {
        let tokens0 = four(first);
        let tokens1 = four(first + 4u);
        let k0 = places(batch, tokens0, 1u, head);
        let k1 = places(batch, tokens1, 1u, head);
        let v0 = places(batch, tokens0, 2u, head);
        let v1 = places(batch, tokens1, 2u, head);
        var products0 = mat4x4f();
        var products1 = mat4x4f();
        for (var d = 0u; d < params.vectors; d += 1u) {
            let x = transpose(load(q + d));
            products0 += x * load(k0 + d);
            products1 += x * load(k1 + d);
        }
        let logits0 = logits(products0, first);
        let logits1 = logits(products1, first + 4u);
        let larger = max(most, max(largest(logits0), largest(logits1)));
        let shrink = exp(most - larger);
        let weights0 = weights(logits0, larger);
        let weights1 = weights(logits1, larger);
        most = larger;
        total = total * shrink + weights0 * vec4f(1.0) + weights1 * vec4f(1.0);
        let by_query0 = transpose(weights0);
        let by_query1 = transpose(weights1);
        for (var d = 0u; d < params.vectors; d += 1u) {
            let sum = load_sum(to + d);
            let added = load(v0 + d) * by_query0 + load(v1 + d) * by_query1;
            store_sum(
                to + d,
                added + mat4x4f(sum[0] * shrink.x, sum[1] * shrink.y, sum[2] * shrink.z, sum[3] * shrink.w),
            );
        }
    }
    for (var d = 0u; d < params.vectors; d += 1u) {
        let sum = load_sum(to + d);
        store_sum(to + d, mat4x4f(sum[0] / total.x, sum[1] / total.y, sum[2] / total.z, sum[3] / total.w));
    }
    let normaliser = most + log(total);
    let statistics = (batch * params.heads + head) * params.tokens;
    for (var i = 0u; i < min(OWN, params.tokens - own); i += 1u) {
        lse[statistics + own + i] = normaliser[i];
    }
}
