// Multi-head attention without its matrix (FlashAttention-2, Dao 2023): o = softmax(scale q kᵀ) v, and the logarithm of
// the normaliser, lse = ln Σ exp(scale q kᵀ).
//
// qkv [batch, tokens, 3, heads, 4 D4], o [batch, tokens, heads, 4 D4], lse [batch, heads, tokens], all f32.
// A workgroup takes OWN queries of one head and goes over the keys in order, in tiles of OTHER, as products of small
// matrices in register tiles from workgroup memory:
// 1. Logits, OWN x OTHER, ROWS x 4 an invocation, with keys whole in workgroup memory and queries in chunks of CHUNK
//    vec4s.
// 2. One invocation a query takes its logits, where the chunks were, into its running maximum and sum, and makes
//    weights of them; meanwhile values are where the keys were.
// 3. Weights times values, SUM_ROWS queries and SUM_COLUMNS vec4s an invocation, in registers until the end.
// Tokens along x, heads along y, batch along z.
// src/ops/attention_tiled.rs sets the constants that are plain numbers here, in `heads` and in `heads_tiled`.

import package::lib::heads::{params, D4, place, place_out};
import package::lib::grid::{grid_row, grid_column};
import package::lib::heads_tiled::{
    TEAM, WIDE, CHUNK, OTHER, THREADS_M, PITCH, near_place, far_place, add_dot
};
import package::lib::logits::LOWEST;

// Queries of an invocation in products along a head, and in sums over tokens.
const ROWS: u32 = 4u;
const SUM_ROWS: u32 = 7u;
// Vec4s of a head of an invocation in sums, and invocations side by side along a head.
const SUM_COLUMNS: u32 = 2u;
const ACROSS: u32 = 8u;
// Vec4s that an invocation brings to workgroup memory: of a chunk, of a tile.
const NEAR_TURNS: u32 = 4u;
const FAR_TURNS: u32 = 4u;
// Vec4s along a head that are multiplied in one go, a divisor of CHUNK.
const STEPS: u32 = 4u;

const THREADS: u32 = TEAM;
const SUM_THREADS_M: u32 = TEAM / ACROSS;
const OWN: u32 = SUM_ROWS * SUM_THREADS_M;
// Queries that the products have room for, at least OWN.
const SPAN: u32 = ROWS * THREADS_M;
// Zero where chunks make up a head, else one.
const CUT: u32 = min(D4 % CHUNK, 1u);
@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> o: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> lse: array<f32>;

// Queries, later logits, then weights; rows in fours.
var<workgroup> near: array<array<vec4f, 4u * CHUNK>, SPAN / 4u>;
// Keys, later values: four blocks of WIDE rows.
var<workgroup> far: array<array<vec4f, WIDE * PITCH>, 4>;
// What each query's sums are to be multiplied with.
var<workgroup> factor: array<f32, OWN>;

// Vec4 i of the chunk of queries that begins with vec4 `chunk`; `head` is where token 0 has its query. What lies beyond
// the last token, or the head, repeats it.
fn load_near(i: u32, head: u32, first: u32, chunk: u32) -> vec4f {
    let token = min(first + i / CHUNK, params.tokens - 1u);
    return qkv[head + token * (3u * params.heads * D4) + min(chunk + i % CHUNK, D4 - 1u)];
}

fn store_near(i: u32, query: vec4f) {
    let row = i / CHUNK;
    if (row < SPAN) {
        near[row / 4u][near_place(row, i % CHUNK)] = query;
    }
}

// Vec4 i of the tile of keys, or values, that begins with token `first`; `head` is where token 0 has its own.
fn load_far(i: u32, head: u32, first: u32) -> vec4f {
    let token = min(first + i / D4, params.tokens - 1u);
    return qkv[head + token * (3u * params.heads * D4) + i % D4];
}

fn store_far(i: u32, vector: vec4f) {
    let row = i / D4;
    if (row < OTHER) {
        far[row / WIDE][far_place(row, i % D4)] = vector;
    }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let first_own = group.x * OWN;
    let head = group.y;
    let batch = group.z;
    let queries = place(batch, 0u, 0u, head);
    let keys = place(batch, 0u, 1u, head);
    let values = place(batch, 0u, 2u, head);
    let thread_m = grid_row(thread, WIDE);
    let thread_n = grid_column(thread, WIDE);
    let sum_m = grid_row(thread, ACROSS);
    let sum_n = grid_column(thread, ACROSS);

    // Of query `thread`.
    var most = LOWEST;
    var total = 0.0;
    var sum = array<vec4f, SUM_ROWS * SUM_COLUMNS>();
    for (var first = 0u; first < params.tokens; first += OTHER) {
        let count = min(OTHER, params.tokens - first);
        // Whether there are more tokens than one block of far rows holds: the last tile often has few.
        let more = count > WIDE;
        var next_far = array<vec4f, FAR_TURNS>();
        for (var turn = 0u; turn < FAR_TURNS; turn++) { // unrolled
            next_far[turn] = load_far(thread + turn * THREADS, keys, first);
        }
        workgroupBarrier();
        for (var turn = 0u; turn < FAR_TURNS; turn++) { // unrolled
            store_far(thread + turn * THREADS, next_far[turn]);
        }

        // product[i * 4 + j] is that of query i * THREADS_M + thread_m with key j * WIDE + thread_n.
        var product = array<f32, ROWS * 4u>();
        for (var chunk = 0u; chunk < D4; chunk += CHUNK) {
            var next_near = array<vec4f, NEAR_TURNS>();
            for (var turn = 0u; turn < NEAR_TURNS; turn++) { // unrolled
                next_near[turn] = load_near(thread + turn * THREADS, queries, first_own, chunk);
            }
            if (chunk > 0u) {
                workgroupBarrier();
            }
            for (var turn = 0u; turn < NEAR_TURNS; turn++) { // unrolled
                store_near(thread + turn * THREADS, next_near[turn]);
            }
            workgroupBarrier();
            for (var step = 0u; step < CHUNK; step += STEPS) {
                for (var d = 0u; d < STEPS; d++) { // unrolled
                    if (CUT == 0u || chunk + step + d < D4) {
                        var a = array<vec4f, ROWS>();
                        var b = array<vec4f, 4>();
                        for (var i = 0u; i < ROWS; i++) { // unrolled
                            a[i] = near[i * (THREADS_M / 4u) + thread_m / 4u][near_place(thread_m, step + d)];
                        }
                        for (var j = 0u; j < 4u; j++) { // unrolled
                            b[j] = far[j][far_place(thread_n, chunk + step + d)];
                        }
                        for (var i = 0u; i < ROWS; i++) { // unrolled
                            product[i * 4u] = add_dot(product[i * 4u], a[i], b[0]);
                        }
                        if (more) {
                            for (var j = 0u; j < 3u; j++) { // unrolled
                                for (var i = 0u; i < ROWS; i++) { // unrolled
                                    product[i * 4u + j + 1u] = add_dot(product[i * 4u + j + 1u], a[i], b[j + 1u]);
                                }
                            }
                        }
                    }
                }
            }
        }
        workgroupBarrier();

        let there = vec4u(0u, WIDE, 2u * WIDE, 3u * WIDE) + thread_n < vec4u(count);
        for (var i = 0u; i < ROWS; i++) { // unrolled
            let products = vec4f(product[i * 4u], product[i * 4u + 1u], product[i * 4u + 2u], product[i * 4u + 3u]);
            near[i * (THREADS_M / 4u) + thread_m / 4u][near_place(thread_m, thread_n)] =
                select(vec4f(LOWEST), products * params.scale, there);
        }
        for (var turn = 0u; turn < FAR_TURNS; turn++) { // unrolled
            next_far[turn] = load_far(thread + turn * THREADS, values, first);
        }
        for (var turn = 0u; turn < FAR_TURNS; turn++) { // unrolled
            store_far(thread + turn * THREADS, next_far[turn]);
        }
        workgroupBarrier();
        if (thread < OWN) {
            var logits = array<vec4f, WIDE>();
            var larger = vec4f(most);
            for (var n = 0u; n < WIDE; n++) { // unrolled
                logits[n] = near[thread / 4u][near_place(thread, n)];
                larger = max(larger, logits[n]);
            }
            let largest = max(max(larger.x, larger.y), max(larger.z, larger.w));
            var weights = vec4f();
            for (var n = 0u; n < WIDE; n++) { // unrolled
                let weight = exp(logits[n] - largest);
                weights += weight;
                near[thread / 4u][near_place(thread, n)] = weight;
            }
            let shrink = exp(most - largest);
            most = largest;
            total = total * shrink + weights.x + weights.y + weights.z + weights.w;
            factor[thread] = shrink;
        }
        workgroupBarrier();

        for (var i = 0u; i < SUM_ROWS; i++) { // unrolled
            let shrink = factor[i * SUM_THREADS_M + sum_m];
            for (var c = 0u; c < SUM_COLUMNS; c++) { // unrolled
                sum[i * SUM_COLUMNS + c] *= shrink;
            }
        }
        for (var n = 0u; n < WIDE; n += 1u) {
            var weight = array<vec4f, SUM_ROWS>();
            for (var i = 0u; i < SUM_ROWS; i++) { // unrolled
                weight[i] = near[i * (SUM_THREADS_M / 4u) + sum_m / 4u][near_place(sum_m, n)];
            }
            for (var c = 0u; c < SUM_COLUMNS; c++) { // unrolled
                let value = far[0][far_place(n, min(c * ACROSS + sum_n, D4 - 1u))];
                for (var i = 0u; i < SUM_ROWS; i++) { // unrolled
                    sum[i * SUM_COLUMNS + c] += weight[i][0] * value;
                }
            }
            if (more) {
                for (var j = 0u; j < 3u; j++) { // unrolled
                    for (var c = 0u; c < SUM_COLUMNS; c++) { // unrolled
                        let value = far[j + 1u][far_place(n, min(c * ACROSS + sum_n, D4 - 1u))];
                        for (var i = 0u; i < SUM_ROWS; i++) { // unrolled
                            sum[i * SUM_COLUMNS + c] += weight[i][j + 1u] * value;
                        }
                    }
                }
            }
        }
    }

    workgroupBarrier();
    if (thread < OWN) {
        factor[thread] = 1.0 / total;
        let token = first_own + thread;
        if (token < params.tokens) {
            lse[(batch * params.heads + head) * params.tokens + token] = most + log(total);
        }
    }
    workgroupBarrier();
    for (var i = 0u; i < SUM_ROWS; i++) { // unrolled
        let row = i * SUM_THREADS_M + sum_m;
        let token = first_own + row;
        let normaliser = factor[row];
        for (var c = 0u; c < SUM_COLUMNS; c++) { // unrolled
            let d = c * ACROSS + sum_n;
            if (token < params.tokens && d < D4) {
                o[place_out(batch, token, head) + d] = sum[i * SUM_COLUMNS + c] * normaliser;
            }
        }
    }
}
