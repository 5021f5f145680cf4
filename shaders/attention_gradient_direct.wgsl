// Gradient of attention in two launches, as attention_gradient.wgsl, for processor adapters: no private arrays, no
// workgroup memory, no barriers, and as many operations a load as registers allow. With p = exp(scale q · k - lse),
// delta = do · o and t = p (do · v - delta):
// QUERIES: dq = scale Σ t k over the keys, and delta for the other launch;
// otherwise dk = scale Σ t q and dv = Σ p do over the queries.
//
// qkv, dqkv [batch, tokens, 3, heads, 4 vectors], o, dout [batch, tokens, heads, 4 vectors], lse, delta
// [batch, heads, tokens], all f32. One invocation takes OWN queries, or keys, of one head and goes over the tokens of
// the other side in order, GROUP at a time, with products of 4 by 4 blocks; all invocations of a workgroup read the
// same tokens there. Sums stay in dqkv, where no one else reads or writes. Tokens along x, LANES * OWN a workgroup,
// heads along y, batch along z.
// conditions: QUERIES

import package::lib::heads_direct::{params, qkv, LANES, OWN, GROUP, four, places, places_out, load};

@group(0) @binding(2) var<storage, read> dout: array<vec4f>;
@group(0) @binding(3) var<storage, read> lse: array<f32>;
@group(0) @binding(4) var<storage, read_write> dqkv: array<vec4f>;
@if(QUERIES) @group(0) @binding(5) var<storage, read_write> delta: array<f32>;
@if(!QUERIES) @group(0) @binding(5) var<storage, read> delta: array<f32>;
@if(QUERIES) @group(0) @binding(6) var<storage, read> o: array<vec4f>;

fn load_dout(at: vec4u) -> mat4x4f {
    return mat4x4f(dout[at.x], dout[at.y], dout[at.z], dout[at.w]);
}

// Adds to the sums; own tokens beyond the last one repeat it, so that what they write is what it writes.
fn add(at: vec4u, x: mat4x4f) {
    let sum = mat4x4f(dqkv[at.x], dqkv[at.y], dqkv[at.z], dqkv[at.w]) + x;
    dqkv[at.x] = sum[0];
    dqkv[at.y] = sum[1];
    dqkv[at.z] = sum[2];
    dqkv[at.w] = sum[3];
}

fn clear(at: vec4u) {
    dqkv[at.x] = vec4f();
    dqkv[at.y] = vec4f();
    dqkv[at.z] = vec4f();
    dqkv[at.w] = vec4f();
}

// Where four tokens of the other side lie: keys and values, or queries and output gradients.
struct Others {
    x: vec4u,
    y: vec4u,
}

fn others(batch: u32, first: u32, head: u32) -> Others {
    let tokens = four(first);
    @if(QUERIES) {
        return Others(places(batch, tokens, 1u, head), places(batch, tokens, 2u, head));
    }
    @if(!QUERIES) {
        return Others(places(batch, tokens, 0u, head), places_out(batch, tokens, head));
    }
}

fn load_own_y(at: vec4u) -> mat4x4f {
    @if(QUERIES) {
        return load_dout(at);
    }
    @if(!QUERIES) {
        return load(at);
    }
}

fn load_other_y(at: vec4u) -> mat4x4f {
    @if(QUERIES) {
        return load(at);
    }
    @if(!QUERIES) {
        return load_dout(at);
    }
}

@if(!QUERIES)
fn load_lse(at: vec4u) -> mat4x4f {
    return mat4x4f(vec4f(lse[at.x]), vec4f(lse[at.y]), vec4f(lse[at.z]), vec4f(lse[at.w]));
}

@if(!QUERIES)
fn load_delta(at: vec4u) -> mat4x4f {
    return mat4x4f(vec4f(delta[at.x]), vec4f(delta[at.y]), vec4f(delta[at.z]), vec4f(delta[at.w]));
}

// Probabilities of own tokens with four of the other side from `first` on; those beyond the last token have none.
fn probabilities(products: mat4x4f, lses: mat4x4f, first: u32) -> mat4x4f {
    let exponents = products * params.scale - lses;
    return mat4x4f(
        select(vec4f(), exp(exponents[0]), first < params.tokens),
        select(vec4f(), exp(exponents[1]), first + 1u < params.tokens),
        select(vec4f(), exp(exponents[2]), first + 2u < params.tokens),
        select(vec4f(), exp(exponents[3]), first + 3u < params.tokens),
    );
}

// Gradients of the logits, times scale.
fn steps(p: mat4x4f, slopes: mat4x4f, deltas: mat4x4f) -> mat4x4f {
    let s = (slopes - deltas) * params.scale;
    return mat4x4f(p[0] * s[0], p[1] * s[1], p[2] * s[2], p[3] * s[3]);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let first_own = (group.x * LANES + lane) * OWN;
    let head = group.y;
    let batch = group.z;
    if (first_own >= params.tokens) {
        return;
    }
    let own = four(first_own);
    let statistics = (batch * params.heads + head) * params.tokens;

    // Own query and output gradient, or own key and value.
    @if(QUERIES) let x = places(batch, own, 0u, head);
    @if(QUERIES) let y = places_out(batch, own, head);
    @if(!QUERIES) let x = places(batch, own, 1u, head);
    @if(!QUERIES) let y = places(batch, own, 2u, head);
    @if(QUERIES) var own_delta = vec4f();
    for (var d = 0u; d < params.vectors; d += 1u) {
        clear(x + d);
        @if(QUERIES) {
            let at = y + d;
            let from_o = mat4x4f(o[at.x], o[at.y], o[at.z], o[at.w]);
            let from_dout = load_dout(at);
            own_delta += vec4f(
                dot(from_o[0], from_dout[0]),
                dot(from_o[1], from_dout[1]),
                dot(from_o[2], from_dout[2]),
                dot(from_o[3], from_dout[3]),
            );
        }
        @if(!QUERIES) {
            clear(y + d);
        }
    }
    @if(QUERIES) {
        for (var i = 0u; i < min(OWN, params.tokens - first_own); i += 1u) {
            delta[statistics + first_own + i] = own_delta[i];
        }
    }
    @if(QUERIES) let own_lse = vec4f(
        lse[statistics + own.x],
        lse[statistics + own.y],
        lse[statistics + own.z],
        lse[statistics + own.w],
    );
    @if(QUERIES) let lses0 = mat4x4f(own_lse, own_lse, own_lse, own_lse);
    @if(QUERIES) let lses1 = lses0;
    @if(QUERIES) let deltas0 = mat4x4f(own_delta, own_delta, own_delta, own_delta);
    @if(QUERIES) let deltas1 = deltas0;

    for (var first = 0u; first < params.tokens; first += GROUP) {
        let others0 = others(batch, first, head);
        let others1 = others(batch, first + 4u, head);
        // Columns are tokens of the other side, components own tokens.
        var products0 = mat4x4f();
        var products1 = mat4x4f();
        var slopes0 = mat4x4f();
        var slopes1 = mat4x4f();
        for (var d = 0u; d < params.vectors; d += 1u) {
            let by_x = transpose(load(x + d));
            products0 += by_x * load(others0.x + d);
            products1 += by_x * load(others1.x + d);
            let by_y = transpose(load_own_y(y + d));
            slopes0 += by_y * load_other_y(others0.y + d);
            slopes1 += by_y * load_other_y(others1.y + d);
        }
        @if(!QUERIES) let lses0 = load_lse(statistics + four(first));
        @if(!QUERIES) let lses1 = load_lse(statistics + four(first + 4u));
        @if(!QUERIES) let deltas0 = load_delta(statistics + four(first));
        @if(!QUERIES) let deltas1 = load_delta(statistics + four(first + 4u));
        let p0 = probabilities(products0, lses0, first);
        let p1 = probabilities(products1, lses1, first + 4u);
        let t0 = transpose(steps(p0, slopes0, deltas0));
        let t1 = transpose(steps(p1, slopes1, deltas1));
        @if(!QUERIES) let w0 = transpose(p0);
        @if(!QUERIES) let w1 = transpose(p1);
        for (var d = 0u; d < params.vectors; d += 1u) {
            add(x + d, load(others0.x + d) * t0 + load(others1.x + d) * t1);
            @if(!QUERIES) {
                add(y + d, load_other_y(others0.y + d) * w0 + load_other_y(others1.y + d) * w1);
            }
        }
    }
}
