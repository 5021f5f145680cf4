// native only
// Gradient of attention on matrix units, as attention_gradient.wgsl and in two launches: with
// p = exp(scale q · k - lse), delta = do · o and t = p (do · v - delta),
// QUERIES: dq = scale Σ t k over the keys, and delta for the other launch;
// otherwise dk = scale Σ t q and dv = Σ p do over the queries.
//
// qkv, dqkv, o, dout: 16-bit floats, lse, delta [batch, heads, tokens]: f32. A workgroup owns OWN queries, or keys, of one
// head, SIDE a subgroup, whose vectors and sums stay in matrices, and goes over tiles of TILE tokens of the other side.
// Matrices give no access to their elements, so logits and slopes (do · v) go through workgroup memory, where SHARERS
// invocations share a row, and come back as p and t, rounded to 16 bits. Tokens along x, heads along y, batch along z.
// The launches write disjoint parts of dqkv.
//
// SIDE_16 is for matrices of 16 x 16, which NVIDIA and AMD have.
// conditions: QUERIES SIDE_16

import package::lib::matrices::{
    params, qkv, place, place_out, Left, Right, Sum, SIDE, D4, DEPTH, LANES, SUBGROUPS, THREADS, TILE, WIDTH, TURNS, OWN,
    PITCH, PITCH_SUMS, PITCH_OUT, PITCH_WEIGHTS, SHARERS,
};

enable f16;
enable wgpu_cooperative_matrix;

@group(0) @binding(2) var<storage, read> dout: array<vec4<f16>>;
@group(0) @binding(3) var<storage, read> lse: array<f32>;
@group(0) @binding(4) var<storage, read_write> dqkv: array<vec4f>;
@if(QUERIES) @group(0) @binding(5) var<storage, read_write> delta: array<f32>;
@if(!QUERIES) @group(0) @binding(5) var<storage, read> delta: array<f32>;
@if(QUERIES) @group(0) @binding(6) var<storage, read> o: array<vec4<f16>>;

// Both vectors of a tile's tokens, or one of own ones before; t and p; logits and slopes, or results after.
const FROM_Y: u32 = TILE * PITCH;
const SLOPES: u32 = OWN * PITCH_SUMS;
var<workgroup> tile: array<vec4<f16>, max(2u * TILE, OWN) * PITCH>;
var<workgroup> weights_t: array<vec4<f16>, OWN * PITCH_WEIGHTS>;
@if(!QUERIES) var<workgroup> weights_p: array<vec4<f16>, OWN * PITCH_WEIGHTS>;
var<workgroup> sums: array<vec4f, OWN * max(2u * PITCH_SUMS, PITCH_OUT)>;
@if(QUERIES) var<workgroup> shares: array<f32, THREADS>;
// lse and delta of a tile's queries.
@if(!QUERIES) var<workgroup> tile_lse: array<f32, TILE>;
@if(!QUERIES) var<workgroup> tile_delta: array<f32, TILE>;

// Vector d of the first, or second, of a token's vectors on the side that is owned: query and gradient, or key and value.
fn own_x(batch: u32, token: u32, head: u32, d: u32) -> vec4<f16> {
    @if(QUERIES) {
        return qkv[place(batch, token, 0u, head) + d];
    }
    @if(!QUERIES) {
        return qkv[place(batch, token, 1u, head) + d];
    }
}

fn own_y(batch: u32, token: u32, head: u32, d: u32) -> vec4<f16> {
    @if(QUERIES) {
        return dout[place_out(batch, token, head) + d];
    }
    @if(!QUERIES) {
        return qkv[place(batch, token, 2u, head) + d];
    }
}

// The same on the other side: key and value, or query and gradient.
fn other_x(batch: u32, token: u32, head: u32, d: u32) -> vec4<f16> {
    @if(QUERIES) {
        return qkv[place(batch, token, 1u, head) + d];
    }
    @if(!QUERIES) {
        return qkv[place(batch, token, 0u, head) + d];
    }
}

fn other_y(batch: u32, token: u32, head: u32, d: u32) -> vec4<f16> {
    @if(QUERIES) {
        return qkv[place(batch, token, 2u, head) + d];
    }
    @if(!QUERIES) {
        return dout[place_out(batch, token, head) + d];
    }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let head = group.y;
    let batch = group.z;
    let subgroup = thread / LANES;
    let lane = thread % LANES;
    let first_own = group.x * OWN;
    // What lies beyond the last token repeats it; it gets no weight, and is not written.
    let last = params.tokens - 1u;
    let statistics = (batch * params.heads + head) * params.tokens;
    let own_rows = subgroup * SIDE * PITCH;

    for (var i = thread; i < OWN * D4; i += THREADS) {
        tile[i / D4 * PITCH + i % D4] = own_x(batch, min(first_own + i / D4, last), head, i % D4);
    }
    workgroupBarrier();
    var x: array<Left, DEPTH>;
    for (var d = 0u; d < DEPTH; d++) { // unrolled
        x[d] = coopLoadT<Left>(&tile[own_rows + d * (SIDE / 4u)], PITCH);
    }
    workgroupBarrier();
    for (var i = thread; i < OWN * D4; i += THREADS) {
        tile[i / D4 * PITCH + i % D4] = own_y(batch, min(first_own + i / D4, last), head, i % D4);
    }
    workgroupBarrier();
    var y: array<Left, DEPTH>;
    for (var d = 0u; d < DEPTH; d++) { // unrolled
        y[d] = coopLoadT<Left>(&tile[own_rows + d * (SIDE / 4u)], PITCH);
    }
    var dx: array<Sum, DEPTH>;
    @if(!QUERIES) var dy: array<Sum, DEPTH>;
    for (var d = 0u; d < DEPTH; d++) { // unrolled
        dx[d] = Sum();
        @if(!QUERIES) {
            dy[d] = Sum();
        }
    }
    // This invocation's row of the subgroup's, and its share of it.
    let row = lane / SHARERS;
    let share = lane % SHARERS;
    let own_sums = subgroup * SIDE * PITCH_SUMS;
    let own_weights = subgroup * SIDE * PITCH_WEIGHTS;
    @if(QUERIES) let own = min(first_own + subgroup * SIDE + row, last);
    @if(QUERIES) let own_lse = lse[statistics + own];
    @if(QUERIES) var own_delta = 0.0;
    @if(QUERIES) {
        for (var d = share; d < D4; d += SHARERS) {
            own_delta += dot(vec4f(own_y(batch, own, head, d)), vec4f(o[place_out(batch, own, head) + d]));
        }
        shares[thread] = own_delta;
        workgroupBarrier();
        own_delta = 0.0;
        for (var i = 0u; i < SHARERS; i += 1u) {
            own_delta += shares[thread - share + i];
        }
    }

    // The next tile, read while the one before is worked on.
    var x_ahead: array<vec4<f16>, TURNS>;
    var y_ahead: array<vec4<f16>, TURNS>;
    for (var t = 0u; t < TURNS; t++) { // unrolled
        let i = thread + t * THREADS;
        x_ahead[t] = other_x(batch, min(i / D4, last), head, i % D4);
        y_ahead[t] = other_y(batch, min(i / D4, last), head, i % D4);
    }
    for (var first = 0u; first < params.tokens; first += TILE) {
        workgroupBarrier();
        for (var t = 0u; t < TURNS; t++) { // unrolled
            let i = thread + t * THREADS;
            if (i < TILE * D4) {
                tile[i / D4 * PITCH + i % D4] = x_ahead[t];
                tile[FROM_Y + i / D4 * PITCH + i % D4] = y_ahead[t];
            }
        }
        @if(!QUERIES) {
            for (var i = thread; i < TILE; i += THREADS) {
                tile_lse[i] = lse[statistics + min(first + i, last)];
                tile_delta[i] = delta[statistics + min(first + i, last)];
            }
        }
        workgroupBarrier();
        if (first + TILE < params.tokens) {
            for (var t = 0u; t < TURNS; t++) { // unrolled
                let i = thread + t * THREADS;
                let token = min(first + TILE + i / D4, last);
                x_ahead[t] = other_x(batch, token, head, i % D4);
                y_ahead[t] = other_y(batch, token, head, i % D4);
            }
        }
        for (var j = 0u; j < WIDTH; j++) { // unrolled
            var logits = Sum();
            var slopes = Sum();
            for (var d = 0u; d < DEPTH; d++) { // unrolled
                let at = j * SIDE * PITCH + d * (SIDE / 4u);
                logits = coopMultiplyAdd(x[d], coopLoad<Right>(&tile[at], PITCH), logits);
                slopes = coopMultiplyAdd(y[d], coopLoad<Right>(&tile[FROM_Y + at], PITCH), slopes);
            }
            coopStoreT(logits, &sums[own_sums + j * (SIDE / 4u)], PITCH_SUMS);
            coopStoreT(slopes, &sums[SLOPES + own_sums + j * (SIDE / 4u)], PITCH_SUMS);
        }
        workgroupBarrier();
        for (var v = share; v < TILE / 4u; v += SHARERS) {
            let at = own_sums + row * PITCH_SUMS + v;
            let to = own_weights + row * PITCH_WEIGHTS + v;
            let columns = vec4u(first + v * 4u) + vec4u(0u, 1u, 2u, 3u);
            @if(QUERIES) let lses = vec4f(own_lse);
            @if(QUERIES) let deltas = vec4f(own_delta);
            @if(!QUERIES) let w = v * 4u;
            @if(!QUERIES) let lses = vec4f(tile_lse[w], tile_lse[w + 1u], tile_lse[w + 2u], tile_lse[w + 3u]);
            @if(!QUERIES) let deltas =
                vec4f(tile_delta[w], tile_delta[w + 1u], tile_delta[w + 2u], tile_delta[w + 3u]);
            let powers = exp(sums[at] * params.scale - lses);
            let p = select(vec4f(), powers, columns < vec4u(params.tokens));
            weights_t[to] = vec4<f16>(p * (sums[SLOPES + at] - deltas));
            @if(!QUERIES) {
                weights_p[to] = vec4<f16>(p);
            }
        }
        workgroupBarrier();
        for (var j = 0u; j < WIDTH; j++) { // unrolled
            let at_weights = own_weights + j * (SIDE / 4u);
            let t = coopLoadT<Left>(&weights_t[at_weights], PITCH_WEIGHTS);
            @if(!QUERIES) let p = coopLoadT<Left>(&weights_p[at_weights], PITCH_WEIGHTS);
            for (var d = 0u; d < DEPTH; d++) { // unrolled
                let at = j * SIDE * PITCH + d * (SIDE / 4u);
                dx[d] = coopMultiplyAdd(t, coopLoadT<Right>(&tile[at], PITCH), dx[d]);
                @if(!QUERIES) {
                    dy[d] = coopMultiplyAdd(p, coopLoadT<Right>(&tile[FROM_Y + at], PITCH), dy[d]);
                }
            }
        }
    }

    @if(QUERIES) {
        if (share == 0u && first_own + subgroup * SIDE + row < params.tokens) {
            delta[statistics + own] = own_delta;
        }
    }
    let own_out = subgroup * SIDE * PITCH_OUT;
    workgroupBarrier();
    for (var d = 0u; d < DEPTH; d++) { // unrolled
        coopStoreT(dx[d], &sums[own_out + d * (SIDE / 4u)], PITCH_OUT);
    }
    workgroupBarrier();
    for (var i = lane; i < SIDE * D4; i += LANES) {
        let token = first_own + subgroup * SIDE + i / D4;
        if (token < params.tokens) {
            @if(QUERIES) let to = place(batch, token, 0u, head);
            @if(!QUERIES) let to = place(batch, token, 1u, head);
            dqkv[to + i % D4] = sums[own_out + i / D4 * PITCH_OUT + i % D4] * params.scale;
        }
    }
    @if(!QUERIES) {
        workgroupBarrier();
        for (var d = 0u; d < DEPTH; d++) { // unrolled
            coopStoreT(dy[d], &sums[own_out + d * (SIDE / 4u)], PITCH_OUT);
        }
        workgroupBarrier();
        for (var i = lane; i < SIDE * D4; i += LANES) {
            let token = first_own + subgroup * SIDE + i / D4;
            if (token < params.tokens) {
                dqkv[place(batch, token, 2u, head) + i % D4] = sums[own_out + i / D4 * PITCH_OUT + i % D4];
            }
        }
    }
}
