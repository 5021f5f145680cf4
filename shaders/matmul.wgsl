// Matrix product C = A B, tiled through workgroup memory.
//
// NN: A [m, k], B [k, n]; NT: A [m, k], B [n, k]; TN: A [k, m], B [k, n]; C [m, n], row-major, batched; all
// f32, as the launch may have what is stored in 16 bits widened and rounded (see src/shaders/half.rs).
// A workgroup computes a TILE_M x TILE_N tile of C in steps of TILE_K along k. Its invocations load blocks of 4 x 4
// (vec4 along the contiguous axis, turned in registers where that axis is k), TURNS each and one step ahead, so that
// both tiles lie k-major in workgroup memory, BUFFERS times; then each multiplies QUADS_M x QUADS_N quads of 4 x 4,
// spread over the tile. Sums run along k one by one whatever the tile, so that all tiles give the same bits. Workgroup
// z runs over batches and, within a batch, over `splits` parts of k, whose partial products a later launch adds up in
// order; x and y run over tiles in strips of `strip` rows of tiles, which keeps what neighbours share in the cache.
//
// Epilogue: BIAS adds bias [n]; RESIDUAL adds residual [residual_rows, n], repeated over rows; GELU applies the exact
// GELU (SLOPE also writes its slope to `slopes`); GELU_GRADIENT multiplies by such slopes [m, n].
// SUMS is for TN: the first workgroups of each row of tiles also sum A over k into column_sums [splits, m].
// RAGGED is for parts of k that are no multiple of TILE_K. SCALAR reads and writes single elements, for rows whose
// length is no multiple of 4. Rows and columns beyond C repeat the last ones and are not written.
// src/ops/matmul.rs sets the constants that are plain numbers.
// one of: NN | NT | TN
// one of: - | BIAS | BIAS+RESIDUAL | RESIDUAL | BIAS+GELU | BIAS+GELU+SLOPE | GELU_GRADIENT | SUMS
// never: SUMS+NN | SUMS+NT
// one of: - | RAGGED | SCALAR

import package::lib::grid::{grid_row, grid_column};
import package::lib::product::{params, finish, tile_of};
@if(RAGGED || SCALAR) import package::lib::product::{a4, b4};
@if(!RAGGED && !SCALAR) import package::lib::product::{a, b};
@if(SUMS) import package::lib::product::finish_sums;

const TILE_M: u32 = 32u;
const TILE_N: u32 = 32u;
const TILE_K: u32 = 16u;
const QUADS_M: u32 = 1u;
const QUADS_N: u32 = 1u;
const TURNS: u32 = 1u;
// Copies of both tiles in workgroup memory: with two, one is filled while others still read the other.
const BUFFERS: u32 = 1u;
// Blocks along k in a tile.
const DEEP: u32 = 4u;
// 1 where the loop over a tile stays one, so that accumulators have one register each and not two.
const ROLLED: u32 = 0u;

const WIDE_M: u32 = TILE_M / 4u;
const WIDE_N: u32 = TILE_N / 4u;
const THREADS_M: u32 = WIDE_M / QUADS_M;
const THREADS_N: u32 = WIDE_N / QUADS_N;
const THREADS: u32 = THREADS_M * THREADS_N;
const BLOCKS_A: u32 = WIDE_M * DEEP;
const BLOCKS: u32 = BLOCKS_A + WIDE_N * DEEP;
// Row d of blocks lies shifted by the bits of d * TWIST, so that turned blocks are stored to different banks.
const TWIST: u32 = 8u / DEEP;

// Vectors of a tile, k-major: [TILE_K][TILE / 4].
const SIZE_A: u32 = TILE_K * WIDE_M;
const SIZE_B: u32 = TILE_K * WIDE_N;
var<workgroup> tile_a: array<vec4f, BUFFERS * SIZE_A>;
var<workgroup> tile_b: array<vec4f, BUFFERS * SIZE_B>;

struct Block {
    r0: vec4f,
    r1: vec4f,
    r2: vec4f,
    r3: vec4f,
}

fn turned(t: Block) -> Block {
    return Block(
        vec4f(t.r0.x, t.r1.x, t.r2.x, t.r3.x),
        vec4f(t.r0.y, t.r1.y, t.r2.y, t.r3.y),
        vec4f(t.r0.z, t.r1.z, t.r2.z, t.r3.z),
        vec4f(t.r0.w, t.r1.w, t.r2.w, t.r3.w),
    );
}

// What lies beyond k1 is zero: `v` holds elements from k on along k.
@if(RAGGED || SCALAR)
fn along(v: vec4f, k: u32, k1: u32) -> vec4f {
    return select(vec4f(), v, vec4u(0u, 1u, 2u, 3u) < vec4u(k1 - min(k, k1)));
}

// The same where all of `v` lies at k.
@if(RAGGED || SCALAR)
fn across(v: vec4f, k: u32, k1: u32) -> vec4f {
    return select(vec4f(), v, k < k1);
}

// The last place along k that may be read, k itself where all of them may.
@if(RAGGED || SCALAR)
fn inside(k: u32, k1: u32, step: u32) -> u32 {
    return min(k, k1 - min(k1, step));
}

// The first of four columns of `count`, as far right as four can be read together.
fn fitting(column: u32, count: u32) -> u32 {
    @if(SCALAR) {
        return min(column, count - 1u);
    }
    @if(!SCALAR) {
        return min(column, count - 4u);
    }
}

// Four elements of A along m at k.
@if(TN && (RAGGED || SCALAR))
fn across_a(a0: u32, column: u32, k: u32, k1: u32) -> vec4f {
    return across(a4(a0 + inside(k, k1, 1u) * params.m + column, params.m - column), k, k1);
}

// Four elements of row `row` of A from k on.
@if(!TN && (RAGGED || SCALAR))
fn along_a(a0: u32, row: u32, k: u32, k1: u32) -> vec4f {
    @if(SCALAR) let first = inside(k, k1, 1u);
    @if(!SCALAR) let first = inside(k, k1, 4u);
    return along(a4(a0 + min(row, params.m - 1u) * params.k + first, params.k - first), k, k1);
}

@if(!NT && (RAGGED || SCALAR))
fn across_b(b0: u32, column: u32, k: u32, k1: u32) -> vec4f {
    return across(b4(b0 + inside(k, k1, 1u) * params.n + column, params.n - column), k, k1);
}

@if(NT && (RAGGED || SCALAR))
fn along_b(b0: u32, row: u32, k: u32, k1: u32) -> vec4f {
    @if(SCALAR) let first = inside(k, k1, 1u);
    @if(!SCALAR) let first = inside(k, k1, 4u);
    return along(b4(b0 + min(row, params.n - 1u) * params.k + first, params.k - first), k, k1);
}

// Block i of A where the tile starts in row `row0`, k-major.
@if(RAGGED || SCALAR)
fn block_a(i: u32, a0: u32, row0: u32, k0: u32, k1: u32) -> Block {
    @if(TN) {
        let column = fitting(row0 + i % WIDE_M * 4u, params.m);
        let k = k0 + i / WIDE_M * 4u;
        return Block(
            across_a(a0, column, k, k1),
            across_a(a0, column, k + 1u, k1),
            across_a(a0, column, k + 2u, k1),
            across_a(a0, column, k + 3u, k1),
        );
    }
    @if(!TN) {
        let row = row0 + i / DEEP * 4u;
        let k = k0 + i % DEEP * 4u;
        return turned(Block(
            along_a(a0, row, k, k1),
            along_a(a0, row + 1u, k, k1),
            along_a(a0, row + 2u, k, k1),
            along_a(a0, row + 3u, k, k1),
        ));
    }
}

@if(RAGGED || SCALAR)
fn block_b(i: u32, b0: u32, column0: u32, k0: u32, k1: u32) -> Block {
    @if(!NT) {
        let column = fitting(column0 + i % WIDE_N * 4u, params.n);
        let k = k0 + i / WIDE_N * 4u;
        return Block(
            across_b(b0, column, k, k1),
            across_b(b0, column, k + 1u, k1),
            across_b(b0, column, k + 2u, k1),
            across_b(b0, column, k + 3u, k1),
        );
    }
    @if(NT) {
        let row = column0 + i / DEEP * 4u;
        let k = k0 + i % DEEP * 4u;
        return turned(Block(
            along_b(b0, row, k, k1),
            along_b(b0, row + 1u, k, k1),
            along_b(b0, row + 2u, k, k1),
            along_b(b0, row + 3u, k, k1),
        ));
    }
}

// Block i of the step at k; `first` is where its vectors lie in the first step.
fn load(i: u32, first: vec4u, a0: u32, b0: u32, row0: u32, column0: u32, k: u32, k1: u32) -> Block {
    @if(RAGGED || SCALAR) {
        if (i < BLOCKS_A) {
            return block_a(i, a0, row0, k, k1);
        }
        if (i < BLOCKS) {
            return block_b(i - BLOCKS_A, b0, column0, k, k1);
        }
    }
    @if(!RAGGED && !SCALAR) {
        if (i < BLOCKS_A) {
            @if(TN) let at = first + k * (params.m / 4u);
            @if(!TN) let at = first + k / 4u;
            let block = Block(a[at.x], a[at.y], a[at.z], a[at.w]);
            @if(TN) {
                return block;
            }
            @if(!TN) {
                return turned(block);
            }
        }
        if (i < BLOCKS) {
            @if(!NT) let at = first + k * (params.n / 4u);
            @if(NT) let at = first + k / 4u;
            let block = Block(b[at.x], b[at.y], b[at.z], b[at.w]);
            @if(!NT) {
                return block;
            }
            @if(NT) {
                return turned(block);
            }
        }
    }
    return Block();
}

// Where the four vectors of block i lie in a step at k = 0, found once.
@if(!RAGGED && !SCALAR)
fn first_of(i: u32, a0: u32, b0: u32, row0: u32, column0: u32) -> vec4u {
    let each = vec4u(0u, 1u, 2u, 3u);
    if (i < BLOCKS_A) {
        @if(TN) {
            let column = fitting(row0 + i % WIDE_M * 4u, params.m);
            return (a0 + (i / WIDE_M * 4u + each) * params.m + column) / 4u;
        }
        @if(!TN) {
            let rows = min(row0 + i / DEEP * 4u + each, vec4u(params.m - 1u));
            return (a0 + rows * params.k) / 4u + i % DEEP;
        }
    }
    let j = i - BLOCKS_A;
    @if(!NT) {
        let column = fitting(column0 + j % WIDE_N * 4u, params.n);
        return (b0 + (j / WIDE_N * 4u + each) * params.n + column) / 4u;
    }
    @if(NT) {
        let rows = min(column0 + j / DEEP * 4u + each, vec4u(params.n - 1u));
        return (b0 + rows * params.k) / 4u + j % DEEP;
    }
}

fn store(i: u32, block: Block, buffer: u32) {
    if (i < BLOCKS_A) {
        @if(TN) let deep = i / WIDE_M;
        @if(TN) let wide = i % WIDE_M;
        @if(!TN) let deep = i % DEEP;
        @if(!TN) let wide = i / DEEP;
        let at = buffer * SIZE_A + deep * 4u * WIDE_M + (wide ^ (deep * TWIST));
        tile_a[at] = block.r0;
        tile_a[at + WIDE_M] = block.r1;
        tile_a[at + 2u * WIDE_M] = block.r2;
        tile_a[at + 3u * WIDE_M] = block.r3;
    } else if (i < BLOCKS) {
        let j = i - BLOCKS_A;
        @if(!NT) let deep = j / WIDE_N;
        @if(!NT) let wide = j % WIDE_N;
        @if(NT) let deep = j % DEEP;
        @if(NT) let wide = j / DEEP;
        let at = buffer * SIZE_B + deep * 4u * WIDE_N + (wide ^ (deep * TWIST));
        tile_b[at] = block.r0;
        tile_b[at + WIDE_N] = block.r1;
        tile_b[at + 2u * WIDE_N] = block.r2;
        tile_b[at + 3u * WIDE_N] = block.r3;
    }
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let tile = tile_of(group.xy, groups.xy);
    let row0 = tile.x * TILE_M;
    let column0 = tile.y * TILE_N;
    let batch = group.z / params.splits;
    let split = group.z % params.splits;
    let k0 = split * params.k_split;
    let k1 = min(params.k, k0 + params.k_split);
    let a0 = batch * params.a_stride;
    let b0 = batch * params.b_stride;
    let thread_m = grid_row(thread, THREADS_N);
    let thread_n = grid_column(thread, THREADS_N);

    // sum[(i * 4 + r) * QUADS_N + j] holds row r of quad i, columns of quad j.
    var sum = array<vec4f, QUADS_M * 4u * QUADS_N>();
    // The sum over k of four rows of C's share of A, in as many invocations as there are such fours.
    @if(SUMS) let sums_a = column0 == 0u && thread < WIDE_M;
    @if(SUMS) var sum_a = vec4f();
    var first = array<vec4u, TURNS>();
    var next = array<Block, TURNS>();
    for (var t = 0u; t < TURNS; t++) { // unrolled
        @if(!RAGGED && !SCALAR) {
            first[t] = first_of(thread + t * THREADS, a0, b0, row0, column0);
        }
        next[t] = load(thread + t * THREADS, first[t], a0, b0, row0, column0, k0, k1);
    }
    var buffer = 0u;
    for (var k = k0; k < k1; k += TILE_K) {
        // What is stored over was read a step ago where there is one buffer, and where there are two before the barrier
        // of that step.
        if (BUFFERS == 1u) {
            workgroupBarrier();
        }
        for (var t = 0u; t < TURNS; t++) { // unrolled
            store(thread + t * THREADS, next[t], buffer);
        }
        workgroupBarrier();
        if (k + TILE_K < k1) {
            for (var t = 0u; t < TURNS; t++) { // unrolled
                next[t] = load(thread + t * THREADS, first[t], a0, b0, row0, column0, k + TILE_K, k1);
            }
        }
        let from_a = buffer * SIZE_A;
        let from_b = buffer * SIZE_B;
        buffer = BUFFERS - 1u - buffer;
        @if(SUMS) {
            if (sums_a) {
                for (var row = 0u; row < TILE_K; row++) { // unrolled
                    sum_a += tile_a[from_a + row * WIDE_M + (thread ^ (row / 4u * TWIST))];
                }
            }
        }
        for (var row = 0u; row < select(TILE_K, min(TILE_K, k1 - k), ROLLED == 1u); row++) { // unrolled
            let twist = row / 4u * TWIST;
            let at_a = from_a + row * WIDE_M;
            let at_b = from_b + row * WIDE_N;
            var y = array<vec4f, QUADS_N>();
            for (var j = 0u; j < QUADS_N; j++) { // unrolled
                y[j] = tile_b[at_b + ((j * THREADS_N + thread_n) ^ twist)];
            }
            for (var i = 0u; i < QUADS_M; i++) { // unrolled
                let x = tile_a[at_a + ((i * THREADS_M + thread_m) ^ twist)];
                for (var j = 0u; j < QUADS_N; j++) { // unrolled
                    sum[i * 4u * QUADS_N + j] = fma(vec4f(x.x), y[j], sum[i * 4u * QUADS_N + j]);
                    sum[(i * 4u + 1u) * QUADS_N + j] = fma(vec4f(x.y), y[j], sum[(i * 4u + 1u) * QUADS_N + j]);
                    sum[(i * 4u + 2u) * QUADS_N + j] = fma(vec4f(x.z), y[j], sum[(i * 4u + 2u) * QUADS_N + j]);
                    sum[(i * 4u + 3u) * QUADS_N + j] = fma(vec4f(x.w), y[j], sum[(i * 4u + 3u) * QUADS_N + j]);
                }
            }
        }
    }

    @if(SUMS) {
        if (sums_a) {
            finish_sums(sum_a, group.z, row0 + thread * 4u);
        }
    }
    let c0 = group.z * params.m * params.n;
    for (var i = 0u; i < QUADS_M; i++) { // unrolled
        for (var r = 0u; r < 4u; r++) { // unrolled
            for (var j = 0u; j < QUADS_N; j++) { // unrolled
                let row = row0 + (i * THREADS_M + thread_m) * 4u + r;
                let column = column0 + (j * THREADS_N + thread_n) * 4u;
                if (row < params.m && column < params.n) {
                    finish(sum[(i * 4u + r) * QUADS_N + j], c0, row, column, true);
                }
            }
        }
    }
}
