// Matrix product C = A B, tiled through workgroup memory.
//
// NN: A [m, k], B [k, n]; NT: A [m, k], B [n, k]; TN: A [k, m], B [k, n]; C [m, n], all f32, row-major, batched.
// A workgroup computes a TILE_M x TILE_N tile of C in steps of TILE_K along k: its invocations load blocks of 4 x 4
// (vec4 along the contiguous axis, transposed in registers where needed) so that both tiles lie k-major in workgroup
// memory; then each multiplies QUADS_M x QUADS_N quads of 4 x 4, quads interleaved over the tile. Workgroup z runs over
// batches and, within a batch, over `splits` parts of k, whose partial products a later launch adds up in order.
//
// Epilogue: BIAS adds bias [n]; RESIDUAL adds residual [residual_rows, n], repeated over rows; GELU applies the exact
// GELU (KEEP also writes its argument to `kept`); GELU_GRADIENT multiplies by GELU'(argument [m, n]).
// SCALAR reads and writes single elements, for rows whose length is no multiple of 4.
// one of: NN | NT | TN
// one of: - | BIAS | BIAS+RESIDUAL | RESIDUAL | BIAS+GELU | BIAS+GELU+KEEP | GELU_GRADIENT
// one of: - | SCALAR

import package::lib::product::{params, a4, b4, finish};

const TILE_M: u32 = 64u;
const TILE_N: u32 = 64u;
const TILE_K: u32 = 16u;
const QUADS_M: u32 = 2u;
const QUADS_N: u32 = 2u;

const WIDE_M: u32 = TILE_M / 4u;
const WIDE_N: u32 = TILE_N / 4u;
const THREADS_M: u32 = WIDE_M / QUADS_M;
const THREADS_N: u32 = WIDE_N / QUADS_N;
const THREADS: u32 = THREADS_M * THREADS_N;
const BLOCKS_A: u32 = WIDE_M * TILE_K / 4u;
const BLOCKS_B: u32 = WIDE_N * TILE_K / 4u;

// Rows of a tile, k-major: [TILE_K][TILE / 4].
var<workgroup> tile_a: array<vec4f, TILE_K * WIDE_M>;
var<workgroup> tile_b: array<vec4f, TILE_K * WIDE_N>;

struct Block {
    r0: vec4f,
    r1: vec4f,
    r2: vec4f,
    r3: vec4f,
}

fn transposed(t: Block) -> Block {
    return Block(
        vec4f(t.r0.x, t.r1.x, t.r2.x, t.r3.x),
        vec4f(t.r0.y, t.r1.y, t.r2.y, t.r3.y),
        vec4f(t.r0.z, t.r1.z, t.r2.z, t.r3.z),
        vec4f(t.r0.w, t.r1.w, t.r2.w, t.r3.w),
    );
}

// Four elements of A from (row, column) of a matrix of `rows` x `columns`; zero outside.
fn load_a(base: u32, row: u32, column: u32, rows: u32, columns: u32) -> vec4f {
    if (row >= rows || column >= columns) {
        return vec4f();
    }
    return a4(base + row * columns + column, columns - column);
}

fn load_b(base: u32, row: u32, column: u32, rows: u32, columns: u32) -> vec4f {
    if (row >= rows || column >= columns) {
        return vec4f();
    }
    return b4(base + row * columns + column, columns - column);
}

// Elements from `count` on are set to zero: the split of k may end inside a vector.
fn first(v: vec4f, count: u32) -> vec4f {
    return select(vec4f(), v, vec4u(0u, 1u, 2u, 3u) < vec4u(count));
}

fn fill_tiles(a0: u32, b0: u32, row0: u32, column0: u32, k: u32, k1: u32, thread: u32) {
    for (var i = thread; i < BLOCKS_A; i += THREADS) {
        @if(TN) let wide = i % WIDE_M;
        @if(TN) let depth = (i / WIDE_M) * 4u;
        @if(TN) let row = row0 + wide * 4u;
        @if(TN) let block = Block(
            load_a(a0, k + depth, row, k1, params.m),
            load_a(a0, k + depth + 1u, row, k1, params.m),
            load_a(a0, k + depth + 2u, row, k1, params.m),
            load_a(a0, k + depth + 3u, row, k1, params.m),
        );
        @if(!TN) let depth = (i % (TILE_K / 4u)) * 4u;
        @if(!TN) let wide = i / (TILE_K / 4u);
        @if(!TN) let row = row0 + wide * 4u;
        @if(!TN) let left = k1 - min(k1, k + depth);
        @if(!TN) let block = transposed(Block(
            first(load_a(a0, row, k + depth, params.m, params.k), left),
            first(load_a(a0, row + 1u, k + depth, params.m, params.k), left),
            first(load_a(a0, row + 2u, k + depth, params.m, params.k), left),
            first(load_a(a0, row + 3u, k + depth, params.m, params.k), left),
        ));
        let at = depth * WIDE_M + wide;
        tile_a[at] = block.r0;
        tile_a[at + WIDE_M] = block.r1;
        tile_a[at + 2u * WIDE_M] = block.r2;
        tile_a[at + 3u * WIDE_M] = block.r3;
    }
    for (var i = thread; i < BLOCKS_B; i += THREADS) {
        @if(NT) let depth = (i % (TILE_K / 4u)) * 4u;
        @if(NT) let wide = i / (TILE_K / 4u);
        @if(NT) let column = column0 + wide * 4u;
        @if(NT) let left = k1 - min(k1, k + depth);
        @if(NT) let block = transposed(Block(
            first(load_b(b0, column, k + depth, params.n, params.k), left),
            first(load_b(b0, column + 1u, k + depth, params.n, params.k), left),
            first(load_b(b0, column + 2u, k + depth, params.n, params.k), left),
            first(load_b(b0, column + 3u, k + depth, params.n, params.k), left),
        ));
        @if(!NT) let wide = i % WIDE_N;
        @if(!NT) let depth = (i / WIDE_N) * 4u;
        @if(!NT) let column = column0 + wide * 4u;
        @if(!NT) let block = Block(
            load_b(b0, k + depth, column, k1, params.n),
            load_b(b0, k + depth + 1u, column, k1, params.n),
            load_b(b0, k + depth + 2u, column, k1, params.n),
            load_b(b0, k + depth + 3u, column, k1, params.n),
        );
        let at = depth * WIDE_N + wide;
        tile_b[at] = block.r0;
        tile_b[at + WIDE_N] = block.r1;
        tile_b[at + 2u * WIDE_N] = block.r2;
        tile_b[at + 3u * WIDE_N] = block.r3;
    }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let row0 = group.y * TILE_M;
    let column0 = group.x * TILE_N;
    let batch = group.z / params.splits;
    let split = group.z % params.splits;
    let k0 = split * params.k_split;
    let k1 = min(params.k, k0 + params.k_split);
    let a0 = batch * params.a_stride;
    let b0 = batch * params.b_stride;
    let thread_m = thread / THREADS_N;
    let thread_n = thread % THREADS_N;

    // sum[(i * 4 + r) * QUADS_N + j] holds row r of quad i, columns of quad j.
    var sum: array<vec4f, QUADS_M * 4u * QUADS_N>;
    for (var i = 0u; i < QUADS_M * 4u * QUADS_N; i += 1u) {
        sum[i] = vec4f();
    }
    for (var k = k0; k < k1; k += TILE_K) {
        fill_tiles(a0, b0, row0, column0, k, k1, thread);
        workgroupBarrier();
        for (var kk = 0u; kk < TILE_K; kk += 1u) {
            var y: array<vec4f, QUADS_N>;
            for (var j = 0u; j < QUADS_N; j += 1u) {
                y[j] = tile_b[kk * WIDE_N + j * THREADS_N + thread_n];
            }
            for (var i = 0u; i < QUADS_M; i += 1u) {
                let x = tile_a[kk * WIDE_M + i * THREADS_M + thread_m];
                for (var j = 0u; j < QUADS_N; j += 1u) {
                    sum[(i * 4u) * QUADS_N + j] += x.x * y[j];
                    sum[(i * 4u + 1u) * QUADS_N + j] += x.y * y[j];
                    sum[(i * 4u + 2u) * QUADS_N + j] += x.z * y[j];
                    sum[(i * 4u + 3u) * QUADS_N + j] += x.w * y[j];
                }
            }
        }
        workgroupBarrier();
    }

    let c0 = group.z * params.m * params.n;
    for (var i = 0u; i < QUADS_M * 4u * QUADS_N; i += 1u) {
        let quad_row = i / QUADS_N;
        let row = row0 + ((quad_row / 4u) * THREADS_M + thread_m) * 4u + quad_row % 4u;
        let column = column0 + ((i % QUADS_N) * THREADS_N + thread_n) * 4u;
        if (row >= params.m || column >= params.n) {
            continue;
        }
        finish(sum[i], c0, row, column);
    }
}
