// native only
// Multi-head attention without its matrix (FlashAttention-2, Dao 2023) on matrix units, as attention.wgsl:
// o = softmax(scale q kᵀ) v, and the logarithm of the normaliser, lse = ln Σ exp(scale q kᵀ).
//
// qkv, o: 16-bit floats, here as f32 where they are widened or rounded on the way (see src/shaders/half.rs); lse [batch,
// heads, tokens]: f32. A workgroup owns OWN queries of one head, SIDE a subgroup, whose q stay in matrices, and goes over
// tiles of TILE keys twice, reading one ahead: first for the maximum and the sum of exponentials of every row of logits,
// then for the probabilities, which need no correction any more and are rounded to 16 bits, times the values. Matrices
// give no access to their elements, so logits go through workgroup memory that is the subgroup's own, where SHARERS
// invocations share a row. There are SIDE tokens or more. Tokens along x, heads along y, batch along z.
// src/ops/attention_cooperative.rs sets the constants that are plain numbers in `heads` and in `matrices`.
//
// SIDE_16 is for matrices of 16 x 16, which NVIDIA and AMD have.
// conditions: SIDE_16

import package::lib::heads::{params, D4, place, place_out};
import package::lib::matrices::{
    qkv, DEPTH, LANES, THREADS, TILE, WIDTH, TURNS, ROUNDS, OWN, PITCH, PITCH_SUMS, PITCH_WEIGHTS, SHARERS,
};
import package::lib::matrix_units::{SIDE, Left, Right, Sum};
import package::lib::logits::LOWEST;

enable f16;
enable wgpu_cooperative_matrix;

@group(0) @binding(2) var<storage, read_write> o: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> lse: array<f32>;

// Keys and values of a tile; probabilities; logits, or results after; maximum and sum of each invocation's share of a
// row.
var<workgroup> keys: array<vec4<f16>, TILE * PITCH>;
var<workgroup> values: array<vec4<f16>, TILE * PITCH>;
var<workgroup> weights: array<vec4<f16>, OWN * PITCH_WEIGHTS>;
var<workgroup> sums: array<vec4f, OWN * PITCH_SUMS>;
var<workgroup> shares: array<vec2f, THREADS>;

// Vector i of part `part` of the tile that starts with token `first`; what lies beyond the last token repeats it, and
// gets no weight.
fn ahead(i: u32, batch: u32, head: u32, part: u32, first: u32) -> vec4<f16> {
    return qkv[place(batch, min(first + i / D4, params.tokens - 1u), part, head) + i % D4];
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
    let stride = 3u * params.heads * D4;

    var queries: array<Left, DEPTH>;
    var result: array<Sum, DEPTH>;
    for (var d = 0u; d < DEPTH; d++) { // unrolled
        queries[d] = coopLoadT<Left>(&qkv[place(batch, first_own, 0u, head) + d * (SIDE / 4u)], stride);
        result[d] = Sum();
    }
    // This invocation's row of the subgroup's, and its share of it.
    let row = lane / SHARERS;
    let share = lane % SHARERS;
    let own_sums = subgroup * SIDE * PITCH_SUMS;
    let own_weights = subgroup * SIDE * PITCH_WEIGHTS;

    var most = LOWEST;
    var total = 0.0;
    var k_ahead: array<vec4<f16>, TURNS>;
    for (var t = 0u; t < TURNS; t++) { // unrolled
        k_ahead[t] = ahead(thread + t * THREADS, batch, head, 1u, 0u);
    }
    for (var first = 0u; first < params.tokens; first += TILE) {
        workgroupBarrier();
        for (var t = 0u; t < TURNS; t++) { // unrolled
            let i = thread + t * THREADS;
            if (i < TILE * D4) {
                keys[i / D4 * PITCH + i % D4] = k_ahead[t];
            }
        }
        workgroupBarrier();
        if (first + TILE < params.tokens) {
            for (var t = 0u; t < TURNS; t++) { // unrolled
                k_ahead[t] = ahead(thread + t * THREADS, batch, head, 1u, first + TILE);
            }
        }
        for (var j = 0u; j < WIDTH; j++) { // unrolled
            var logits = Sum();
            for (var d = 0u; d < DEPTH; d++) { // unrolled
                let k = coopLoad<Right>(&keys[j * SIDE * PITCH + d * (SIDE / 4u)], PITCH);
                logits = coopMultiplyAdd(queries[d], k, logits);
            }
            coopStoreT(logits, &sums[own_sums + j * (SIDE / 4u)], PITCH_SUMS);
        }
        subgroupBarrier();
        for (var r = 0u; r < ROUNDS; r++) { // unrolled
            let v = share + r * SHARERS;
            let columns = vec4u(first + v * 4u) + vec4u(0u, 1u, 2u, 3u);
            let products = sums[own_sums + row * PITCH_SUMS + v] * params.scale;
            let logits = select(vec4f(LOWEST), products, columns < vec4u(params.tokens));
            let larger = max(most, max(max(logits.x, logits.y), max(logits.z, logits.w)));
            let powers = exp(logits - larger);
            total = total * exp(most - larger) + powers.x + powers.y + powers.z + powers.w;
            most = larger;
        }
    }
    // Both kinds of the first tile again.
    var v_ahead: array<vec4<f16>, TURNS>;
    for (var t = 0u; t < TURNS; t++) { // unrolled
        k_ahead[t] = ahead(thread + t * THREADS, batch, head, 1u, 0u);
        v_ahead[t] = ahead(thread + t * THREADS, batch, head, 2u, 0u);
    }
    shares[thread] = vec2f(most, total);
    subgroupBarrier();
    // The same order in each of them, so the same bits.
    let first_share = thread - share;
    for (var i = 0u; i < SHARERS; i += 1u) {
        most = max(most, shares[first_share + i].x);
    }
    total = 0.0;
    for (var i = 0u; i < SHARERS; i += 1u) {
        total += shares[first_share + i].y * exp(shares[first_share + i].x - most);
    }
    let row_lse = most + log(total);
    let token = first_own + row;
    if (share == 0u && token >= nominal) {
        lse[(batch * params.heads + head) * params.tokens + token] = row_lse;
    }

    for (var first = 0u; first < params.tokens; first += TILE) {
        workgroupBarrier();
        for (var t = 0u; t < TURNS; t++) { // unrolled
            let i = thread + t * THREADS;
            if (i < TILE * D4) {
                keys[i / D4 * PITCH + i % D4] = k_ahead[t];
                values[i / D4 * PITCH + i % D4] = v_ahead[t];
            }
        }
        workgroupBarrier();
        if (first + TILE < params.tokens) {
            for (var t = 0u; t < TURNS; t++) { // unrolled
                k_ahead[t] = ahead(thread + t * THREADS, batch, head, 1u, first + TILE);
                v_ahead[t] = ahead(thread + t * THREADS, batch, head, 2u, first + TILE);
            }
        }
        for (var j = 0u; j < WIDTH; j++) { // unrolled
            var logits = Sum();
            for (var d = 0u; d < DEPTH; d++) { // unrolled
                let k = coopLoad<Right>(&keys[j * SIDE * PITCH + d * (SIDE / 4u)], PITCH);
                logits = coopMultiplyAdd(queries[d], k, logits);
            }
            coopStoreT(logits, &sums[own_sums + j * (SIDE / 4u)], PITCH_SUMS);
        }
        subgroupBarrier();
        for (var r = 0u; r < ROUNDS; r++) { // unrolled
            let v = share + r * SHARERS;
            let columns = vec4u(first + v * 4u) + vec4u(0u, 1u, 2u, 3u);
            let powers = exp(sums[own_sums + row * PITCH_SUMS + v] * params.scale - row_lse);
            let inside = select(vec4f(), powers, columns < vec4u(params.tokens));
            weights[own_weights + row * PITCH_WEIGHTS + v] = vec4<f16>(inside);
        }
        subgroupBarrier();
        for (var j = 0u; j < WIDTH; j++) { // unrolled
            let p = coopLoadT<Left>(&weights[own_weights + j * (SIDE / 4u)], PITCH_WEIGHTS);
            for (var d = 0u; d < DEPTH; d++) { // unrolled
                let v = coopLoadT<Right>(&values[j * SIDE * PITCH + d * (SIDE / 4u)], PITCH);
                result[d] = coopMultiplyAdd(p, v, result[d]);
            }
        }
    }

    for (var d = 0u; d < DEPTH; d++) { // unrolled
        subgroupBarrier();
        coopStoreT(result[d], &sums[own_sums], PITCH_SUMS);
        subgroupBarrier();
        for (var i = lane; i < SIDE * (SIDE / 4u); i += LANES) {
            let to_token = first_own + i / (SIDE / 4u);
            if (to_token >= nominal) {
                let value = sums[own_sums + i / (SIDE / 4u) * PITCH_SUMS + i % (SIDE / 4u)];
                o[place_out(batch, to_token, head) + d * (SIDE / 4u) + i % (SIDE / 4u)] = value;
            }
        }
    }
}
