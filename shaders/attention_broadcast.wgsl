// Multi-head attention without its matrix, as attention.wgsl, for processor adapters whose subgroups are exactly the 8
// invocations of a workgroup, where every load costs the same whatever its address.
//
// qkv [batch, tokens, 3, heads, 4 D4], o [batch, tokens, heads, 4 D4], lse [batch, heads, tokens], f32. One invocation
// takes OWN queries of one head, kept in registers with their sums, and goes over the keys in order, 8 at a time: each
// invocation loads one of these, and all get it by broadcast. Tokens along x, LANES * OWN a workgroup, heads along y,
// batch along z.
// src/ops/attention.rs sets D4 and OWN.
// one of: WITH_SUBGROUPS

import package::lib::heads::{params, D4, place, place_out};
import package::lib::logits::LOWEST;

const LANES: u32 = 8u;
const OWN: u32 = 4u;

@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> o: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> lse: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    // All invocations take part in broadcasts: those beyond the last token repeat it and write nothing.
    let own = group.x * LANES * OWN + lane;
    let last = params.tokens - 1u;
    let head = group.y;
    let batch = group.z;
    var q = array<vec4f, OWN * D4>();
    var sum = array<vec4f, OWN * D4>();
    var most = array<f32, OWN>();
    var total = array<f32, OWN>();
    for (var i = 0u; i < OWN; i++) { // unrolled
        let at = place(batch, min(own + i * LANES, last), 0u, head);
        for (var d = 0u; d < D4; d++) { // unrolled
            q[i * D4 + d] = qkv[at + d] * params.scale;
        }
        most[i] = LOWEST;
    }
    for (var first = 0u; first < params.tokens; first += LANES) {
        let key = place(batch, min(first + lane, last), 1u, head);
        let value = place(batch, min(first + lane, last), 2u, head);
        var weight = array<f32, OWN * LANES>();
        for (var d = 0u; d < D4; d++) { // unrolled
            let mine = qkv[key + d];
            for (var j = 0u; j < LANES; j++) { // unrolled
                let k = subgroupBroadcast(mine, j);
                for (var i = 0u; i < OWN; i++) { // unrolled
                    weight[i * LANES + j] += dot(q[i * D4 + d], k);
                }
            }
        }
        for (var i = 0u; i < OWN; i++) { // unrolled
            var larger = most[i];
            for (var j = 0u; j < LANES; j++) { // unrolled
                weight[i * LANES + j] = select(LOWEST, weight[i * LANES + j], first + j < params.tokens);
                larger = max(larger, weight[i * LANES + j]);
            }
            let shrink = exp(most[i] - larger);
            most[i] = larger;
            total[i] *= shrink;
            for (var j = 0u; j < LANES; j++) { // unrolled
                weight[i * LANES + j] = exp(weight[i * LANES + j] - larger);
                total[i] += weight[i * LANES + j];
            }
            for (var d = 0u; d < D4; d++) { // unrolled
                sum[i * D4 + d] *= shrink;
            }
        }
        for (var d = 0u; d < D4; d++) { // unrolled
            let mine = qkv[value + d];
            for (var j = 0u; j < LANES; j++) { // unrolled
                let v = subgroupBroadcast(mine, j);
                for (var i = 0u; i < OWN; i++) { // unrolled
                    sum[i * D4 + d] += weight[i * LANES + j] * v;
                }
            }
        }
    }
    for (var i = 0u; i < OWN; i++) { // unrolled
        let token = own + i * LANES;
        if (token < params.tokens) {
            let at = place_out(batch, token, head);
            for (var d = 0u; d < D4; d++) { // unrolled
                o[at + d] = sum[i * D4 + d] / total[i];
            }
            lse[(batch * params.heads + head) * params.tokens + token] = most[i] + log(total[i]);
        }
    }
}
