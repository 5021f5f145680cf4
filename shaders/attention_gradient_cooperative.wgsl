// native only
// Gradient of attention on matrix units, as attention_gradient.wgsl and in two launches: with
// p = exp(scale q · k - lse), delta = do · o and t = p (do · v - delta),
// QUERIES: dq = scale Σ t k over the keys, and delta for the other launch;
// otherwise dk = scale Σ t q and dv = Σ p do over the queries.
//
// qkv, dqkv, o, dout: 16-bit floats, here as f32 where they are widened or rounded on the way (see src/shaders/half.rs);
// lse, delta [batch, heads, tokens]: f32. A workgroup owns OWN queries, or keys, of one head, SIDE a subgroup, whose
// vectors and sums stay in matrices, and goes over tiles of TILE tokens of the other side, reading one ahead. Matrices
// give no access to their elements, so logits, then slopes (do · v), go through workgroup memory that is the subgroup's
// own, where SHARERS invocations share a row, and come back as p and t, rounded to 16 bits. There are SIDE tokens or
// more. Tokens along x, heads along y, batch along z. The launches write disjoint parts of dqkv.
// src/ops/attention_cooperative.rs sets the constants that are plain numbers in `heads` and in `matrices`.
//
// SIDE_16 is for matrices of 16 x 16, which NVIDIA and AMD have.
// conditions: QUERIES SIDE_16

import package::lib::heads::{params, D4, place, place_out};
import package::lib::matrices::{
    qkv, DEPTH, LANES, THREADS, TILE, WIDTH, TURNS, ROUNDS, OWN, PITCH, PITCH_SUMS, PITCH_WEIGHTS, SHARERS,
};
import package::lib::matrix_units::{SIDE, Left, Right, Sum};
import package::lib::half::to_halves;

enable f16;
enable wgpu_cooperative_matrix;

@group(0) @binding(2) var<storage, read> dout: array<vec4<f16>>;
@group(0) @binding(3) var<storage, read> lse: array<f32>;
@group(0) @binding(4) var<storage, read_write> dqkv: array<vec4f>;
@if(QUERIES) @group(0) @binding(5) var<storage, read_write> delta: array<f32>;
@if(!QUERIES) @group(0) @binding(5) var<storage, read> delta: array<f32>;
@if(QUERIES) @group(0) @binding(6) var<storage, read> o: array<vec4<f16>>;

// Both vectors of a tile's tokens: key and value, or query and gradient; t and p; logits, slopes, or results.
var<workgroup> tile_x: array<vec4<f16>, TILE * PITCH>;
var<workgroup> tile_y: array<vec4<f16>, TILE * PITCH>;
var<workgroup> weights_t: array<vec4<f16>, OWN * PITCH_WEIGHTS>;
@if(!QUERIES) var<workgroup> weights_p: array<vec4<f16>, OWN * PITCH_WEIGHTS>;
var<workgroup> sums: array<vec4f, OWN * PITCH_SUMS>;
@if(QUERIES) var<workgroup> shares: array<f32, THREADS>;
// lse and delta of a tile's queries.
@if(!QUERIES) var<workgroup> tile_lse: array<f32, TILE>;
@if(!QUERIES) var<workgroup> tile_delta: array<f32, TILE>;

// Vector i of the first, or second, of the vectors of the tile that starts with token `first`; what lies beyond the
// last token repeats it, and gets no weight.
fn ahead_x(i: u32, batch: u32, head: u32, first: u32) -> vec4<f16> {
    let token = min(first + i / D4, params.tokens - 1u);
    @if(QUERIES) {
        return qkv[place(batch, token, 1u, head) + i % D4];
    }
    @if(!QUERIES) {
        return qkv[place(batch, token, 0u, head) + i % D4];
    }
}

fn ahead_y(i: u32, batch: u32, head: u32, first: u32) -> vec4<f16> {
    let token = min(first + i / D4, params.tokens - 1u);
    @if(QUERIES) {
        return qkv[place(batch, token, 2u, head) + i % D4];
    }
    @if(!QUERIES) {
        return dout[place_out(batch, token, head) + i % D4];
    }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let head = group.y;
    let batch = group.z;
    let subgroup = thread / LANES;
    let lane = thread % LANES;
    // Where there are not enough tokens left, those before are computed again and not written.
    let nominal = group.x * OWN + subgroup * SIDE;
    let first_own = min(nominal, params.tokens - SIDE);
    let last = params.tokens - 1u;
    let statistics = (batch * params.heads + head) * params.tokens;
    let stride = 3u * params.heads * D4;

    // Own vectors: query and gradient, or key and value.
    var x: array<Left, DEPTH>;
    var y: array<Left, DEPTH>;
    var dx: array<Sum, DEPTH>;
    @if(!QUERIES) var dy: array<Sum, DEPTH>;
    for (var d = 0u; d < DEPTH; d++) { // unrolled
        @if(QUERIES) {
            x[d] = coopLoadT<Left>(&qkv[place(batch, first_own, 0u, head) + d * (SIDE / 4u)], stride);
            y[d] = coopLoadT<Left>(&dout[place_out(batch, first_own, head) + d * (SIDE / 4u)], params.heads * D4);
        }
        @if(!QUERIES) {
            x[d] = coopLoadT<Left>(&qkv[place(batch, first_own, 1u, head) + d * (SIDE / 4u)], stride);
            y[d] = coopLoadT<Left>(&qkv[place(batch, first_own, 2u, head) + d * (SIDE / 4u)], stride);
            dy[d] = Sum();
        }
        dx[d] = Sum();
    }
    // This invocation's row of the subgroup's, and its share of it.
    let row = lane / SHARERS;
    let share = lane % SHARERS;
    let own_sums = subgroup * SIDE * PITCH_SUMS;
    let own_weights = subgroup * SIDE * PITCH_WEIGHTS;
    @if(QUERIES) let own = first_own + row;
    @if(QUERIES) let own_lse = lse[statistics + own];
    @if(QUERIES) var own_delta = 0.0;
    @if(QUERIES) {
        let from_own = place_out(batch, own, head);
        for (var d = share; d < D4; d += SHARERS) {
            own_delta += dot(vec4f(dout[from_own + d]), vec4f(o[from_own + d]));
        }
        shares[thread] = own_delta;
        subgroupBarrier();
        own_delta = 0.0;
        for (var i = 0u; i < SHARERS; i += 1u) {
            own_delta += shares[thread - share + i];
        }
        if (share == 0u && own >= nominal) {
            delta[statistics + own] = own_delta;
        }
    }

    var x_ahead: array<vec4<f16>, TURNS>;
    var y_ahead: array<vec4<f16>, TURNS>;
    for (var t = 0u; t < TURNS; t++) { // unrolled
        x_ahead[t] = ahead_x(thread + t * THREADS, batch, head, 0u);
        y_ahead[t] = ahead_y(thread + t * THREADS, batch, head, 0u);
    }
    for (var first = 0u; first < params.tokens; first += TILE) {
        workgroupBarrier();
        for (var t = 0u; t < TURNS; t++) { // unrolled
            let i = thread + t * THREADS;
            if (i < TILE * D4) {
                tile_x[i / D4 * PITCH + i % D4] = x_ahead[t];
                tile_y[i / D4 * PITCH + i % D4] = y_ahead[t];
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
                x_ahead[t] = ahead_x(thread + t * THREADS, batch, head, first + TILE);
                y_ahead[t] = ahead_y(thread + t * THREADS, batch, head, first + TILE);
            }
        }
        var slopes: array<Sum, WIDTH>;
        for (var j = 0u; j < WIDTH; j++) { // unrolled
            var logits = Sum();
            slopes[j] = Sum();
            for (var d = 0u; d < DEPTH; d++) { // unrolled
                let at = j * SIDE * PITCH + d * (SIDE / 4u);
                logits = coopMultiplyAdd(x[d], coopLoad<Right>(&tile_x[at], PITCH), logits);
                slopes[j] = coopMultiplyAdd(y[d], coopLoad<Right>(&tile_y[at], PITCH), slopes[j]);
            }
            coopStoreT(logits, &sums[own_sums + j * (SIDE / 4u)], PITCH_SUMS);
        }
        subgroupBarrier();
        var p: array<vec4f, ROUNDS>;
        for (var r = 0u; r < ROUNDS; r++) { // unrolled
            let v = share + r * SHARERS;
            let columns = vec4u(first + v * 4u) + vec4u(0u, 1u, 2u, 3u);
            @if(QUERIES) let lses = vec4f(own_lse);
            @if(!QUERIES) let w = v * 4u;
            @if(!QUERIES) let lses = vec4f(tile_lse[w], tile_lse[w + 1u], tile_lse[w + 2u], tile_lse[w + 3u]);
            let powers = exp(sums[own_sums + row * PITCH_SUMS + v] * params.scale - lses);
            p[r] = select(vec4f(), powers, columns < vec4u(params.tokens));
        }
        // All have read the logits.
        subgroupBarrier();
        for (var j = 0u; j < WIDTH; j++) { // unrolled
            coopStoreT(slopes[j], &sums[own_sums + j * (SIDE / 4u)], PITCH_SUMS);
        }
        subgroupBarrier();
        for (var r = 0u; r < ROUNDS; r++) { // unrolled
            let v = share + r * SHARERS;
            @if(QUERIES) let deltas = vec4f(own_delta);
            @if(!QUERIES) let w = v * 4u;
            @if(!QUERIES) let deltas =
                vec4f(tile_delta[w], tile_delta[w + 1u], tile_delta[w + 2u], tile_delta[w + 3u]);
            let to = own_weights + row * PITCH_WEIGHTS + v;
            weights_t[to] = to_halves(p[r] * (sums[own_sums + row * PITCH_SUMS + v] - deltas));
            @if(!QUERIES) {
                weights_p[to] = vec4<f16>(p[r]);
            }
        }
        subgroupBarrier();
        for (var j = 0u; j < WIDTH; j++) { // unrolled
            let at_weights = own_weights + j * (SIDE / 4u);
            let t_matrix = coopLoadT<Left>(&weights_t[at_weights], PITCH_WEIGHTS);
            @if(!QUERIES) let p_matrix = coopLoadT<Left>(&weights_p[at_weights], PITCH_WEIGHTS);
            for (var d = 0u; d < DEPTH; d++) { // unrolled
                let at = j * SIDE * PITCH + d * (SIDE / 4u);
                dx[d] = coopMultiplyAdd(t_matrix, coopLoadT<Right>(&tile_x[at], PITCH), dx[d]);
                @if(!QUERIES) {
                    dy[d] = coopMultiplyAdd(p_matrix, coopLoadT<Right>(&tile_y[at], PITCH), dy[d]);
                }
            }
        }
    }

    for (var d = 0u; d < DEPTH; d++) { // unrolled
        subgroupBarrier();
        coopStoreT(dx[d], &sums[own_sums], PITCH_SUMS);
        subgroupBarrier();
        for (var i = lane; i < SIDE * (SIDE / 4u); i += LANES) {
            let token = first_own + i / (SIDE / 4u);
            if (token >= nominal) {
                @if(QUERIES) let to = place(batch, token, 0u, head);
                @if(!QUERIES) let to = place(batch, token, 1u, head);
                let value = sums[own_sums + i / (SIDE / 4u) * PITCH_SUMS + i % (SIDE / 4u)] * params.scale;
                dqkv[to + d * (SIDE / 4u) + i % (SIDE / 4u)] = value;
            }
        }
        @if(!QUERIES) {
            subgroupBarrier();
            coopStoreT(dy[d], &sums[own_sums], PITCH_SUMS);
            subgroupBarrier();
            for (var i = lane; i < SIDE * (SIDE / 4u); i += LANES) {
                let token = first_own + i / (SIDE / 4u);
                if (token >= nominal) {
                    let to = place(batch, token, 2u, head);
                    let value = sums[own_sums + i / (SIDE / 4u) * PITCH_SUMS + i % (SIDE / 4u)];
                    dqkv[to + d * (SIDE / 4u) + i % (SIDE / 4u)] = value;
                }
            }
        }
    }
}
