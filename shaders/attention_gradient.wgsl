// Gradient of attention without its matrix (FlashAttention-2, Dao 2023) and without atomics, in two launches. With
// p = exp(scale q · k - lse), delta = do · o and t = p (do · v - delta):
// QUERIES: dq = scale Σ t k over the keys, and delta for the other launch;
// otherwise dk = scale Σ t q and dv = Σ p do over the queries.
//
// qkv, dqkv [batch, tokens, 3, heads, 4 D4], o, dout [batch, tokens, heads, 4 D4], lse, delta [batch, heads, tokens],
// all f32. x and y are queries and output gradients, or keys and values: logits are products of x with x, slopes of y
// with y. A workgroup takes OWN tokens of one head and goes over those of the other side in order, in tiles of OTHER,
// as products of small matrices in register tiles from workgroup memory, by two teams of invocations:
// 1. The first team multiplies x with x, the second y with y, OWN x OTHER each, ROWS x 4 an invocation, with the other
//    side's vectors whole in workgroup memory and its own in chunks of CHUNK vec4s.
// 2. The first team makes p, the second t from it, where the chunks were.
// 3. QUERIES: both teams add t k, each for every second vec4 of t. Otherwise the first adds t q and the second p do.
//    SUM_ROWS tokens and SUM_COLUMNS vec4s an invocation, in registers until the end.
// Tokens along x, heads along y, batch along z. The launches write disjoint parts of dqkv.
// src/ops/attention_tiled.rs sets the constants that are plain numbers here, in `heads` and in `heads_tiled`.
// conditions: QUERIES

import package::lib::heads::{params, D4, place, place_out};
import package::lib::grid::{grid_row, grid_column};
import package::lib::heads_tiled::{
    TEAM, WIDE, CHUNK, OTHER, THREADS_M, PITCH, near_place, far_place, add_dot
};

// Own tokens of an invocation in products along a head, and in sums over tokens.
const ROWS: u32 = 4u;
const SUM_ROWS: u32 = 8u;
// Vec4s of a head of an invocation in sums, and invocations of a team side by side along a head.
const SUM_COLUMNS: u32 = 2u;
const ACROSS: u32 = 8u;
// Pairs of vec4s that an invocation brings to workgroup memory: of a chunk, of a tile.
const NEAR_TURNS: u32 = 4u;
const FAR_TURNS: u32 = 4u;
// Vec4s along a head that are multiplied in one go, a divisor of CHUNK.
const STEPS: u32 = 4u;

const THREADS: u32 = 2u * TEAM;
const SUM_THREADS_M: u32 = TEAM / ACROSS;
const OWN: u32 = SUM_ROWS * SUM_THREADS_M;
// Own tokens that the products have room for, at least OWN.
const SPAN: u32 = ROWS * THREADS_M;
// Zero where chunks make up a head, else one.
const CUT: u32 = min(D4 % CHUNK, 1u);

@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read> dout: array<vec4f>;
@group(0) @binding(3) var<storage, read> lse: array<f32>;
@group(0) @binding(4) var<storage, read_write> dqkv: array<vec4f>;
@if(QUERIES) @group(0) @binding(5) var<storage, read_write> delta: array<f32>;
@if(!QUERIES) @group(0) @binding(5) var<storage, read> delta: array<f32>;
@if(QUERIES) @group(0) @binding(6) var<storage, read> o: array<vec4f>;

// Own x, later t, then own y, later p; rows in fours.
const NEAR: u32 = SPAN / 4u;
var<workgroup> near: array<array<vec4f, 4u * CHUNK>, 2u * NEAR>;
// The other side's x, then its y: four blocks of WIDE rows each, with room for a vec4 of each invocation of a team.
var<workgroup> far: array<array<vec4f, max(WIDE * PITCH, TEAM)>, 8>;

struct Pair {
    x: vec4f,
    y: vec4f,
}

// Vec4 `d` of a token's query and output gradient; `head` is where token 0 has them in qkv and dout.
fn query_pair(head: vec2u, token: u32, d: u32) -> Pair {
    let width = params.heads * D4;
    return Pair(qkv[head.x + token * (3u * width) + d], dout[head.y + token * width + d]);
}

// The same of its key and value.
fn key_pair(head: vec2u, token: u32, d: u32) -> Pair {
    let width = params.heads * D4;
    let at = head.x + token * (3u * width) + d;
    return Pair(qkv[at + width], qkv[at + 2u * width]);
}

// Pair i of the chunk of own vectors that begins with vec4 `chunk`. What lies beyond the last token, or the head,
// repeats it.
fn load_near(i: u32, head: vec2u, first: u32, chunk: u32) -> Pair {
    let token = min(first + i / CHUNK, params.tokens - 1u);
    let d = min(chunk + i % CHUNK, D4 - 1u);
    @if(QUERIES) {
        return query_pair(head, token, d);
    }
    @if(!QUERIES) {
        return key_pair(head, token, d);
    }
}

fn store_near(i: u32, pair: Pair) {
    let row = i / CHUNK;
    if (row < SPAN) {
        let at = near_place(row, i % CHUNK);
        near[row / 4u][at] = pair.x;
        near[NEAR + row / 4u][at] = pair.y;
    }
}

// Pair i of the tile of the other side that begins with token `first`.
fn load_far(i: u32, head: vec2u, first: u32) -> Pair {
    let token = min(first + i / D4, params.tokens - 1u);
    @if(QUERIES) {
        return key_pair(head, token, i % D4);
    }
    @if(!QUERIES) {
        return query_pair(head, token, i % D4);
    }
}

fn store_far(i: u32, pair: Pair) {
    let row = i / D4;
    if (row < OTHER) {
        let at = far_place(row, i % D4);
        far[row / WIDE][at] = pair.x;
        far[4u + row / WIDE][at] = pair.y;
    }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let first_own = group.x * OWN;
    let head = group.y;
    let batch = group.z;
    let origin = vec2u(place(batch, 0u, 0u, head), place_out(batch, 0u, head));
    let last = params.tokens - 1u;
    let statistics = (batch * params.heads + head) * params.tokens;
    let team = thread / TEAM;
    let lane = thread % TEAM;
    let thread_m = grid_row(lane, WIDE);
    let thread_n = grid_column(lane, WIDE);
    let near_m = team * NEAR + thread_m / 4u;
    let sum_m = grid_row(lane, ACROSS);
    let sum_n = grid_column(lane, ACROSS);

    // The first team's lse, the second's delta: of own tokens, or of a tile's.
    @if(QUERIES) var own_statistics = array<f32, ROWS>();
    @if(QUERIES) {
        for (var i = thread; i < SPAN * WIDE; i += THREADS) {
            let row = i / WIDE;
            let at = place_out(batch, min(first_own + row, last), head);
            var products = vec4f();
            for (var d = i % WIDE; d < D4; d += WIDE) {
                products += dout[at + d] * o[at + d];
            }
            near[row / 4u][near_place(row, i % WIDE)] = products;
        }
        workgroupBarrier();
        if (thread < SPAN) {
            var products = vec4f();
            for (var n = 0u; n < WIDE; n += 1u) {
                products += near[thread / 4u][near_place(thread, n)];
            }
            near[thread / 4u][near_place(thread, 0u)] = vec4f(products.x + products.y + products.z + products.w);
        }
        workgroupBarrier();
        for (var i = 0u; i < ROWS; i++) { // unrolled
            let row = i * THREADS_M + thread_m;
            let token = first_own + row;
            if (team == 0u) {
                own_statistics[i] = lse[statistics + min(token, last)];
            } else {
                own_statistics[i] = near[row / 4u][near_place(row, 0u)].x;
                if (thread_n == 0u && row < OWN && token <= last) {
                    delta[statistics + token] = own_statistics[i];
                }
            }
        }
    }

    var sum = array<vec4f, SUM_ROWS * SUM_COLUMNS>();
    for (var first = 0u; first < params.tokens; first += OTHER) {
        let count = min(OTHER, params.tokens - first);
        // Whether there are more tokens than one block of far rows holds: the last tile often has few.
        let more = count > WIDE;
        var next_far = array<Pair, FAR_TURNS>();
        for (var turn = 0u; turn < FAR_TURNS; turn++) { // unrolled
            next_far[turn] = load_far(thread + turn * THREADS, origin, first);
        }
        @if(!QUERIES) var statistic = vec4f();
        @if(!QUERIES) {
            for (var j = 0u; j < 4u; j++) { // unrolled
                let at = statistics + min(first + j * WIDE + thread_n, last);
                if (team == 0u) {
                    statistic[j] = lse[at];
                } else {
                    statistic[j] = delta[at];
                }
            }
        }
        workgroupBarrier();
        for (var turn = 0u; turn < FAR_TURNS; turn++) { // unrolled
            store_far(thread + turn * THREADS, next_far[turn]);
        }

        // Logits, or slopes: product[i * 4 + j] is that of own token i * THREADS_M + thread_m with j * WIDE + thread_n.
        var product = array<f32, ROWS * 4u>();
        for (var chunk = 0u; chunk < D4; chunk += CHUNK) {
            var next_near = array<Pair, NEAR_TURNS>();
            for (var turn = 0u; turn < NEAR_TURNS; turn++) { // unrolled
                next_near[turn] = load_near(thread + turn * THREADS, origin, first_own, chunk);
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
                            a[i] = near[near_m + i * (THREADS_M / 4u)][near_place(thread_m, step + d)];
                        }
                        for (var j = 0u; j < 4u; j++) { // unrolled
                            b[j] = far[team * 4u + j][far_place(thread_n, chunk + step + d)];
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
        let at = near_place(thread_m, thread_n);
        if (team == 0u) {
            for (var i = 0u; i < ROWS; i++) { // unrolled
                @if(QUERIES) let statistic = vec4f(own_statistics[i]);
                let logits =
                    vec4f(product[i * 4u], product[i * 4u + 1u], product[i * 4u + 2u], product[i * 4u + 3u]);
                let p = select(vec4f(), exp(logits * params.scale - statistic), there);
                near[NEAR + i * (THREADS_M / 4u) + thread_m / 4u][at] = p;
            }
        }
        workgroupBarrier();
        if (team == 1u) {
            for (var i = 0u; i < ROWS; i++) { // unrolled
                @if(QUERIES) let statistic = vec4f(own_statistics[i]);
                let slopes =
                    vec4f(product[i * 4u], product[i * 4u + 1u], product[i * 4u + 2u], product[i * 4u + 3u]);
                let four = i * (THREADS_M / 4u) + thread_m / 4u;
                near[four][at] = near[NEAR + four][at] * (slopes - statistic);
            }
        }
        workgroupBarrier();

        // Where in near the weights are, in far the vectors, and which vec4s of weights there are to do.
        @if(QUERIES) let weights = sum_m / 4u;
        @if(QUERIES) let vectors = 0u;
        @if(QUERIES) let first_n = team;
        @if(QUERIES) let step_n = 2u;
        @if(!QUERIES) let weights = team * NEAR + sum_m / 4u;
        @if(!QUERIES) let vectors = team * 4u;
        @if(!QUERIES) let first_n = 0u;
        @if(!QUERIES) let step_n = 1u;
        for (var n = first_n; n < WIDE; n += step_n) {
            var weight = array<vec4f, SUM_ROWS>();
            for (var i = 0u; i < SUM_ROWS; i++) { // unrolled
                weight[i] = near[weights + i * (SUM_THREADS_M / 4u)][near_place(sum_m, n)];
            }
            for (var c = 0u; c < SUM_COLUMNS; c++) { // unrolled
                let vector = far[vectors][far_place(n, min(c * ACROSS + sum_n, D4 - 1u))];
                for (var i = 0u; i < SUM_ROWS; i++) { // unrolled
                    sum[i * SUM_COLUMNS + c] += weight[i][0] * vector;
                }
            }
            if (more) {
                for (var j = 0u; j < 3u; j++) { // unrolled
                    for (var c = 0u; c < SUM_COLUMNS; c++) { // unrolled
                        let vector = far[vectors + j + 1u][far_place(n, min(c * ACROSS + sum_n, D4 - 1u))];
                        for (var i = 0u; i < SUM_ROWS; i++) { // unrolled
                            sum[i * SUM_COLUMNS + c] += weight[i][j + 1u] * vector;
                        }
                    }
                }
            }
        }
    }

    @if(QUERIES) {
        // The second team hands its sums to the first.
        for (var c = 0u; c < SUM_COLUMNS; c++) { // unrolled
            workgroupBarrier();
            if (team == 1u) {
                for (var i = 0u; i < SUM_ROWS; i++) { // unrolled
                    far[i][lane] = sum[i * SUM_COLUMNS + c];
                }
            }
            workgroupBarrier();
            for (var i = 0u; i < SUM_ROWS; i++) { // unrolled
                sum[i * SUM_COLUMNS + c] += far[i][lane];
            }
        }
        if (team == 1u) {
            return;
        }
    }
    @if(QUERIES) let part = 0u;
    @if(!QUERIES) let part = 1u + team;
    let scale = select(1.0, params.scale, team == 0u);
    for (var i = 0u; i < SUM_ROWS; i++) { // unrolled
        let token = first_own + i * SUM_THREADS_M + sum_m;
        for (var c = 0u; c < SUM_COLUMNS; c++) { // unrolled
            let d = c * ACROSS + sum_n;
            if (token <= last && d < D4) {
                dqkv[place(batch, token, part, head) + d] = sum[i * SUM_COLUMNS + c] * scale;
            }
        }
    }
}
