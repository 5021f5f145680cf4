// Gradient of attention in two launches, as attention_gradient.wgsl, for processor adapters whose subgroups are exactly
// the 8 invocations of a workgroup, as attention_broadcast.wgsl. With p = exp(scale q · k - lse), delta = do · o and
// t = p (do · v - delta):
// QUERIES: dq = scale Σ t k over the keys, and delta for the other launch;
// otherwise dk = scale Σ t q and dv = Σ p do over the queries.
//
// qkv, dqkv [batch, tokens, 3, heads, 4 D4], o, dout [batch, tokens, heads, 4 D4], lse, delta [batch, heads, tokens],
// all f32. One invocation takes OWN queries, or keys, of one head, kept in registers with their sums, and goes over the
// tokens of the other side in order, 8 at a time: each invocation loads one of these, and all get it by broadcast.
// Tokens along x, LANES * OWN a workgroup, heads along y, batch along z.
// src/ops/attention.rs sets D4 and OWN.
// one of: WITH_SUBGROUPS | WITH_SUBGROUPS+QUERIES

import package::lib::heads::{params, D4, place, place_out};

const LANES: u32 = 8u;
const OWN: u32 = 4u;

@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read> dout: array<vec4f>;
@group(0) @binding(3) var<storage, read> lse: array<f32>;
@group(0) @binding(4) var<storage, read_write> dqkv: array<vec4f>;
@if(QUERIES) @group(0) @binding(5) var<storage, read_write> delta: array<f32>;
@if(!QUERIES) @group(0) @binding(5) var<storage, read> delta: array<f32>;
@if(QUERIES) @group(0) @binding(6) var<storage, read> o: array<vec4f>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    // All invocations take part in broadcasts: those beyond the last token repeat it and write nothing.
    let first_own = group.x * LANES * OWN + lane;
    let last = params.tokens - 1u;
    let head = group.y;
    let batch = group.z;
    let statistics = (batch * params.heads + head) * params.tokens;
    // Own query and output gradient, or own key and value; the sums of their gradients.
    var x = array<vec4f, OWN * D4>();
    var y = array<vec4f, OWN * D4>();
    var sum_x = array<vec4f, OWN * D4>();
    @if(!QUERIES) var sum_y = array<vec4f, OWN * D4>();
    @if(QUERIES) var own_lse = array<f32, OWN>();
    @if(QUERIES) var own_delta = array<f32, OWN>();
    for (var i = 0u; i < OWN; i++) { // unrolled
        let token = min(first_own + i * LANES, last);
        @if(QUERIES) let at_x = place(batch, token, 0u, head);
        @if(QUERIES) let at_y = place_out(batch, token, head);
        @if(!QUERIES) let at_x = place(batch, token, 1u, head);
        @if(!QUERIES) let at_y = place(batch, token, 2u, head);
        for (var d = 0u; d < D4; d++) { // unrolled
            x[i * D4 + d] = qkv[at_x + d] * params.scale;
            @if(QUERIES) {
                y[i * D4 + d] = dout[at_y + d];
                own_delta[i] += dot(y[i * D4 + d], o[at_y + d]);
            }
            @if(!QUERIES) {
                y[i * D4 + d] = qkv[at_y + d];
            }
        }
        @if(QUERIES) {
            own_lse[i] = lse[statistics + token];
            if (first_own + i * LANES < params.tokens) {
                delta[statistics + token] = own_delta[i];
            }
        }
    }

    for (var first = 0u; first < params.tokens; first += LANES) {
        let token = min(first + lane, last);
        // What this invocation loads of the other side: key and value, or query and output gradient.
        @if(QUERIES) let at_x = place(batch, token, 1u, head);
        @if(QUERIES) let at_y = place(batch, token, 2u, head);
        @if(!QUERIES) let at_x = place(batch, token, 0u, head);
        @if(!QUERIES) let at_y = place_out(batch, token, head);
        @if(!QUERIES) let mine_lse = lse[statistics + token];
        @if(!QUERIES) let mine_delta = delta[statistics + token];
        // Probabilities, and slopes of the loss along them, then along logits.
        var p = array<f32, OWN * LANES>();
        var t = array<f32, OWN * LANES>();
        for (var d = 0u; d < D4; d++) { // unrolled
            let mine_x = qkv[at_x + d];
            @if(QUERIES) let mine_y = qkv[at_y + d];
            @if(!QUERIES) let mine_y = dout[at_y + d];
            for (var j = 0u; j < LANES; j++) { // unrolled
                let other_x = subgroupBroadcast(mine_x, j);
                let other_y = subgroupBroadcast(mine_y, j);
                for (var i = 0u; i < OWN; i++) { // unrolled
                    p[i * LANES + j] += dot(x[i * D4 + d], other_x);
                    t[i * LANES + j] += dot(y[i * D4 + d], other_y);
                }
            }
        }
        for (var j = 0u; j < LANES; j++) { // unrolled
            @if(!QUERIES) let other_lse = subgroupBroadcast(mine_lse, j);
            @if(!QUERIES) let other_delta = subgroupBroadcast(mine_delta, j);
            for (var i = 0u; i < OWN; i++) { // unrolled
                @if(QUERIES) let other_lse = own_lse[i];
                @if(QUERIES) let other_delta = own_delta[i];
                let probability = select(0.0, exp(p[i * LANES + j] - other_lse), first + j < params.tokens);
                p[i * LANES + j] = probability;
                t[i * LANES + j] = probability * (t[i * LANES + j] - other_delta);
            }
        }
        for (var d = 0u; d < D4; d++) { // unrolled
            let mine_x = qkv[at_x + d];
            @if(!QUERIES) let mine_y = dout[at_y + d];
            for (var j = 0u; j < LANES; j++) { // unrolled
                let other_x = subgroupBroadcast(mine_x, j);
                @if(!QUERIES) let other_y = subgroupBroadcast(mine_y, j);
                for (var i = 0u; i < OWN; i++) { // unrolled
                    sum_x[i * D4 + d] += t[i * LANES + j] * other_x;
                    @if(!QUERIES) {
                        sum_y[i * D4 + d] += p[i * LANES + j] * other_y;
                    }
                }
            }
        }
    }

    for (var i = 0u; i < OWN; i++) { // unrolled
        let token = first_own + i * LANES;
        if (token < params.tokens) {
            @if(QUERIES) let at_x = place(batch, token, 0u, head);
            @if(!QUERIES) let at_x = place(batch, token, 1u, head);
            @if(!QUERIES) let at_y = place(batch, token, 2u, head);
            for (var d = 0u; d < D4; d++) { // unrolled
                dqkv[at_x + d] = sum_x[i * D4 + d] * params.scale;
                @if(!QUERIES) {
                    dqkv[at_y + d] = sum_y[i * D4 + d];
                }
            }
        }
    }
}
