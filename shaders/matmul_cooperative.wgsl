// native only
// Matrix product C = A B on matrix units, as matmul.wgsl: A and B of 16-bit floats, products and sums in f32.
//
// A workgroup computes a TILE_M x TILE_N tile of C in steps of TILE_K along k. Its invocations load vectors of four
// along the rows of A and B, TURNS_A and TURNS_B each and one step ahead, into workgroup memory, in rows as they are;
// then each subgroup multiplies ROWS x COLUMNS matrices of SIDE x SIDE. What is transposed is so by the order in which
// a matrix is read. With BUFFERS of 2, a step is stored while subgroups that are behind still read the one before, which
// saves a barrier. Matrices give no access to their elements, so STAGED of them at a time are written to workgroup
// memory before the epilogue. Workgroup z runs over batches and parts of k, x and y over tiles in strips; rows and
// columns beyond C repeat the last ones and are not written: all as in matmul.wgsl. Rows are whole vectors.
// RAGGED is for parts of k that are no multiple of TILE_K: what lies beyond is zero.
//
// WIDE_MEMORY keeps workgroup memory in vectors of four: Vulkan reads matrices from such, Metal does not.
// SIDE_16 is for matrices of 16 x 16, which NVIDIA and AMD have; Metal has 8 x 8.
// src/ops/matmul.rs sets the constants that are plain numbers, but PARTIALS.
// one of: NN | NT | TN
// one of: - | BIAS | BIAS+RESIDUAL | RESIDUAL | BIAS+GELU | BIAS+GELU+SLOPE | GELU_GRADIENT | SUMS
// never: SUMS+NN | SUMS+NT
// one of: - | RAGGED
// one of: - | WIDE_MEMORY | WIDE_MEMORY+SIDE_16

import package::lib::matrix_units::{SIDE, Left, Right, Sum};
import package::lib::product::{params, finish_with, tile_of};
@if(RESIDUAL || GELU_GRADIENT) import package::lib::product::other4;
@if(SUMS) import package::lib::product::finish_sums;

enable f16;
enable wgpu_cooperative_matrix;

const TILE_M: u32 = 64u;
const TILE_N: u32 = 64u;
const TILE_K: u32 = 32u;
// Matrices that a subgroup computes, along m and n, and along k in a step: TILE_K / SIDE.
const ROWS: u32 = 2u;
const COLUMNS: u32 = 2u;
const DEPTH: u32 = 2u;
// Steps that workgroup memory holds.
const BUFFERS: u32 = 1u;
// Matrices of a row that are staged together, and how often: COLUMNS / STAGED.
const STAGED: u32 = 1u;
const STAGES: u32 = 2u;
// Vectors of what is staged that an invocation finishes: SIZE_PIECE / LANES, rounded up.
const VECTORS: u32 = 2u;
// Invocations of a subgroup, and of all subgroups that make up a tile.
const LANES: u32 = 32u;
const THREADS: u32 = 128u;
// Vectors of a step that an invocation loads: TILE_M * TILE_K / 4 / THREADS, and as many of TILE_N.
const TURNS_A: u32 = 2u;
const TURNS_B: u32 = 2u;

const SUBGROUPS_N: u32 = TILE_N / (COLUMNS * SIDE);
const SUBGROUPS: u32 = THREADS / LANES;
// Length of the rows in memory, in vectors, and how many there are in a step.
@if(TN) const LENGTH_A: u32 = TILE_M / 4u;
@if(TN) const HEIGHT_A: u32 = TILE_K;
@if(!TN) const LENGTH_A: u32 = TILE_K / 4u;
@if(!TN) const HEIGHT_A: u32 = TILE_M;
@if(NT) const LENGTH_B: u32 = TILE_K / 4u;
@if(NT) const HEIGHT_B: u32 = TILE_N;
@if(!NT) const LENGTH_B: u32 = TILE_N / 4u;
@if(!NT) const HEIGHT_B: u32 = TILE_K;
// Rows lie two vectors apart, so that a column of them is spread over banks.
const PITCH_A: u32 = LENGTH_A + 2u;
const PITCH_B: u32 = LENGTH_B + 2u;
const SIZE_A: u32 = HEIGHT_A * PITCH_A;
const SIZE_STEP: u32 = SIZE_A + HEIGHT_B * PITCH_B;
// Rows of sums, in vectors, also lie apart where there is room.
const PITCH_SUMS: u32 = STAGED * SIDE / 4u + STAGED - 1u;
const SIZE_SUMS: u32 = SUBGROUPS * SIDE * PITCH_SUMS;
// What a subgroup stages, in vectors: length of a row, and all of it.
const WIDTH_PIECE: u32 = STAGED * SIDE / 4u;
const SIZE_PIECE: u32 = SIDE * WIDTH_PIECE;
// Sums over every PARTIALS-th row of A, added up by halves: whatever the tile, so that its sums have the same bits.
// SUMMERS rows are summed at a time by invocations side by side, each of which holds HELD = PARTIALS / SUMMERS sums.
const PARTIALS: u32 = 8u;
const SUMMERS: u32 = 4u;
const HELD: u32 = 2u;
// HELD / 2, HELD / 4 and HELD / 8: the levels of adding up by halves, 0 where there is none.
const HALF: u32 = 1u;
const QUARTER: u32 = 0u;
const EIGHTH: u32 = 0u;
@if(SUMS) const SIZE_STAGE: u32 = max(SIZE_SUMS, THREADS);
@if(!SUMS) const SIZE_STAGE: u32 = SIZE_SUMS;
// Elements of workgroup memory in a vector.
@if(WIDE_MEMORY) const UNIT: u32 = 1u;
@if(!WIDE_MEMORY) const UNIT: u32 = 4u;

// In place of `a` and `b` of `product`, which nothing here uses: matrices are of 16 bits.
@group(0) @binding(1) var<storage, read> halves_a: array<vec4<f16>>;
@group(0) @binding(2) var<storage, read> halves_b: array<vec4<f16>>;

@if(WIDE_MEMORY) var<workgroup> memory: array<vec4<f16>, BUFFERS * SIZE_STEP>;
@if(!WIDE_MEMORY) var<workgroup> memory: array<f16, BUFFERS * SIZE_STEP * 4u>;
@if(WIDE_MEMORY) var<workgroup> stage: array<vec4f, SIZE_STAGE>;
@if(!WIDE_MEMORY) var<workgroup> stage: array<f32, SIZE_STAGE * 4u>;

// The row along k, of `length` vectors, that is stored as the `turn`-th. Sixteen invocations store two rows together, or
// four; rows side by side would share banks, as they lie 20 numbers apart, or 12, but these do not.
fn row_at(turn: u32, length: u32) -> u32 {
    let places = length / 4u;
    return turn / 8u * 8u + ((turn << places) | ((turn % 8u) >> (3u - places))) % 8u;
}

// The row in memory that vector i of a step belongs to, in A and in B; its place in the row is i % LENGTH.
fn row_a(i: u32) -> u32 {
    @if(TN) {
        return i / LENGTH_A;
    }
    @if(!TN) {
        return row_at(i / LENGTH_A, LENGTH_A);
    }
}

fn row_b(i: u32) -> u32 {
    @if(NT) {
        return row_at(i / LENGTH_B, LENGTH_B);
    }
    @if(!NT) {
        return i / LENGTH_B;
    }
}

// Where vector i of the first step of A lies, where the tile starts in row `row0` of C.
fn first_a(i: u32, a0: u32, row0: u32) -> u32 {
    @if(TN) {
        return (a0 + row_a(i) * params.m + min(row0 + i % LENGTH_A * 4u, params.m - 4u)) / 4u;
    }
    @if(!TN) {
        return (a0 + min(row0 + row_a(i), params.m - 1u) * params.k) / 4u + i % LENGTH_A;
    }
}

// The same for B, where the tile starts in column `column0` of C.
fn first_b(i: u32, b0: u32, column0: u32) -> u32 {
    @if(NT) {
        return (b0 + min(column0 + row_b(i), params.n - 1u) * params.k) / 4u + i % LENGTH_B;
    }
    @if(!NT) {
        return (b0 + row_b(i) * params.n + min(column0 + i % LENGTH_B * 4u, params.n - 4u)) / 4u;
    }
}

// How far the step at k lies from the first one, in vectors.
fn beyond_a(k: u32) -> u32 {
    @if(TN) {
        return k * (params.m / 4u);
    }
    @if(!TN) {
        return k / 4u;
    }
}

fn beyond_b(k: u32) -> u32 {
    @if(NT) {
        return k / 4u;
    }
    @if(!NT) {
        return k * (params.n / 4u);
    }
}

// How deep along k in its step vector i lies.
@if(RAGGED)
fn depth_a(i: u32) -> u32 {
    @if(TN) {
        return row_a(i);
    }
    @if(!TN) {
        return i % LENGTH_A * 4u;
    }
}

@if(RAGGED)
fn depth_b(i: u32) -> u32 {
    @if(NT) {
        return i % LENGTH_B * 4u;
    }
    @if(!NT) {
        return row_b(i);
    }
}

// Vector i of the step of A at k, where `first` is its place in the first step; anything where it lies beyond k1.
fn next_a(i: u32, first: u32, k: u32, k1: u32) -> vec4<f16> {
    @if(RAGGED) {
        // From the start of A where it does not reach so far.
        return halves_a[select(0u, first + beyond_a(k), k + depth_a(i) < k1)];
    }
    @if(!RAGGED) {
        return halves_a[first + beyond_a(k)];
    }
}

fn next_b(i: u32, first: u32, k: u32, k1: u32) -> vec4<f16> {
    @if(RAGGED) {
        return halves_b[select(0u, first + beyond_b(k), k + depth_b(i) < k1)];
    }
    @if(!RAGGED) {
        return halves_b[first + beyond_b(k)];
    }
}

// Puts vector `at` of the steps.
fn put(at: u32, v: vec4<f16>) {
    @if(WIDE_MEMORY) {
        memory[at] = v;
    }
    @if(!WIDE_MEMORY) {
        memory[at * 4u] = v.x;
        memory[at * 4u + 1u] = v.y;
        memory[at * 4u + 2u] = v.z;
        memory[at * 4u + 3u] = v.w;
    }
}

// Vector `at` of the steps.
@if(SUMS)
fn at_a(at: u32) -> vec4f {
    @if(WIDE_MEMORY) {
        return vec4f(memory[at]);
    }
    @if(!WIDE_MEMORY) {
        let first = at * 4u;
        return vec4f(vec4<f16>(memory[first], memory[first + 1u], memory[first + 2u], memory[first + 3u]));
    }
}

// Puts vector `at` of the sums.
@if(SUMS)
fn put_sums(at: u32, v: vec4f) {
    @if(WIDE_MEMORY) {
        stage[at] = v;
    }
    @if(!WIDE_MEMORY) {
        stage[at * 4u] = v.x;
        stage[at * 4u + 1u] = v.y;
        stage[at * 4u + 2u] = v.z;
        stage[at * 4u + 3u] = v.w;
    }
}

// Vector `at` of the sums.
fn sums(at: u32) -> vec4f {
    @if(WIDE_MEMORY) {
        return stage[at];
    }
    @if(!WIDE_MEMORY) {
        return vec4f(stage[at * 4u], stage[at * 4u + 1u], stage[at * 4u + 2u], stage[at * 4u + 3u]);
    }
}

// Row and column of C of vector `at` of what a subgroup stages for C from `first` on. What lies beyond repeats the last.
fn spot(first: vec2u, at: u32) -> vec2u {
    let inside = min(at, SIZE_PIECE - 1u);
    let to = first + vec2u(inside / WIDTH_PIECE, inside % WIDTH_PIECE * 4u);
    return min(to, vec2u(params.m - 1u, params.n - 4u));
}

// Where in C the piece lies that a subgroup stages as the `piece`-th, whose matrices begin at `first`.
fn piece_at(first: vec2u, piece: u32) -> vec2u {
    return first + vec2u(piece / STAGES * SIDE, piece % STAGES * (STAGED * SIDE));
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
    // Subgroups are made of invocations in a row, on all adapters known; where not, the trial at the start shows it.
    let subgroup = thread / LANES;
    let lane = thread % LANES;
    // First row and column of this subgroup within the tile.
    let row = subgroup / SUBGROUPS_N * (ROWS * SIDE);
    let column = subgroup % SUBGROUPS_N * (COLUMNS * SIDE);

    var sum: array<Sum, ROWS * COLUMNS>;
    for (var i = 0u; i < ROWS; i++) { // unrolled
        for (var j = 0u; j < COLUMNS; j++) { // unrolled
            sum[i * COLUMNS + j] = Sum();
        }
    }
    // The first workgroup of a row of tiles sums its share of A over k, four columns an invocation.
    @if(SUMS) var sum_a: array<vec4f, HELD>;
    @if(SUMS) let sums_a = column0 == 0u && thread < SUMMERS * LENGTH_A;
    var from_a0: array<u32, TURNS_A>;
    var from_b0: array<u32, TURNS_B>;
    var a_ahead: array<vec4<f16>, TURNS_A>;
    var b_ahead: array<vec4<f16>, TURNS_B>;
    for (var t = 0u; t < TURNS_A; t++) { // unrolled
        from_a0[t] = first_a(thread + t * THREADS, a0, row0);
        a_ahead[t] = next_a(thread + t * THREADS, from_a0[t], k0, k1);
    }
    for (var t = 0u; t < TURNS_B; t++) { // unrolled
        from_b0[t] = first_b(thread + t * THREADS, b0, column0);
        b_ahead[t] = next_b(thread + t * THREADS, from_b0[t], k0, k1);
    }
    var start = 0u;
    for (var k = k0; k < k1; k += TILE_K) {
        // What is stored over was read a step ago where there is one buffer, and where there are two before the barrier
        // of that step.
        if (BUFFERS == 1u) {
            workgroupBarrier();
        }
        // Only here is anything done with what was loaded, so that products need not wait for it.
        for (var t = 0u; t < TURNS_A; t++) { // unrolled
            let i = thread + t * THREADS;
            @if(RAGGED) let v = select(vec4<f16>(), a_ahead[t], k + depth_a(i) < k1);
            @if(!RAGGED) let v = a_ahead[t];
            put(start + row_a(i) * PITCH_A + i % LENGTH_A, v);
        }
        for (var t = 0u; t < TURNS_B; t++) { // unrolled
            let i = thread + t * THREADS;
            @if(RAGGED) let v = select(vec4<f16>(), b_ahead[t], k + depth_b(i) < k1);
            @if(!RAGGED) let v = b_ahead[t];
            put(start + SIZE_A + row_b(i) * PITCH_B + i % LENGTH_B, v);
        }
        workgroupBarrier();
        if (k + TILE_K < k1) {
            for (var t = 0u; t < TURNS_A; t++) { // unrolled
                a_ahead[t] = next_a(thread + t * THREADS, from_a0[t], k + TILE_K, k1);
            }
            for (var t = 0u; t < TURNS_B; t++) { // unrolled
                b_ahead[t] = next_b(thread + t * THREADS, from_b0[t], k + TILE_K, k1);
            }
        }
        @if(SUMS) {
            if (sums_a) {
                for (var height = thread / LENGTH_A; height < TILE_K; height += PARTIALS) {
                    for (var h = 0u; h < HELD; h++) { // unrolled
                        sum_a[h] += at_a(start + (height + h * SUMMERS) * PITCH_A + thread % LENGTH_A);
                    }
                }
            }
        }
        for (var d = 0u; d < DEPTH; d++) { // unrolled
            var left: array<Left, ROWS>;
            for (var i = 0u; i < ROWS; i++) { // unrolled
                @if(TN) {
                    let at = start + d * SIDE * PITCH_A + (row + i * SIDE) / 4u;
                    left[i] = coopLoad<Left>(&memory[at * UNIT], PITCH_A * UNIT);
                }
                @if(!TN) {
                    let at = start + (row + i * SIDE) * PITCH_A + d * SIDE / 4u;
                    left[i] = coopLoadT<Left>(&memory[at * UNIT], PITCH_A * UNIT);
                }
            }
            for (var j = 0u; j < COLUMNS; j++) { // unrolled
                @if(NT) {
                    let at = start + SIZE_A + (column + j * SIDE) * PITCH_B + d * SIDE / 4u;
                    let right = coopLoad<Right>(&memory[at * UNIT], PITCH_B * UNIT);
                    for (var i = 0u; i < ROWS; i++) { // unrolled
                        sum[i * COLUMNS + j] = coopMultiplyAdd(left[i], right, sum[i * COLUMNS + j]);
                    }
                }
                @if(!NT) {
                    let at = start + SIZE_A + d * SIDE * PITCH_B + (column + j * SIDE) / 4u;
                    let right = coopLoadT<Right>(&memory[at * UNIT], PITCH_B * UNIT);
                    for (var i = 0u; i < ROWS; i++) { // unrolled
                        sum[i * COLUMNS + j] = coopMultiplyAdd(left[i], right, sum[i * COLUMNS + j]);
                    }
                }
            }
        }
        start = (BUFFERS - 1u) * SIZE_STEP - start;
    }

    @if(SUMS) {
        if (column0 == 0u) {
            workgroupBarrier();
            if (sums_a) {
                for (var h = 0u; h < HALF; h++) { // unrolled
                    sum_a[h] += sum_a[h + HALF];
                }
                for (var h = 0u; h < QUARTER; h++) { // unrolled
                    sum_a[h] += sum_a[h + QUARTER];
                }
                for (var h = 0u; h < EIGHTH; h++) { // unrolled
                    sum_a[h] += sum_a[h + EIGHTH];
                }
                put_sums(thread, sum_a[0]);
            }
            workgroupBarrier();
            for (var four = thread; four < TILE_M / 4u; four += THREADS) {
                var parts: array<vec4f, SUMMERS>;
                for (var summer = 0u; summer < SUMMERS; summer++) { // unrolled
                    parts[summer] = sums(summer * LENGTH_A + four);
                }
                for (var left = SUMMERS / 2u; left > 0u; left /= 2u) {
                    for (var summer = 0u; summer < left; summer += 1u) {
                        parts[summer] += parts[summer + left];
                    }
                }
                finish_sums(parts[0], group.z, row0 + four * 4u);
            }
            // Subgroups wrote to each other's part of the stage.
            workgroupBarrier();
        }
    }
    let c0 = group.z * params.m * params.n;
    let own = subgroup * SIDE * PITCH_SUMS;
    let first = vec2u(row0 + row, column0 + column);
    // What the epilogue reads is on its way while the piece before is finished.
    @if(RESIDUAL || GELU_GRADIENT) var other_ahead: array<vec4f, VECTORS>;
    @if(RESIDUAL || GELU_GRADIENT) {
        for (var v = 0u; v < VECTORS; v++) { // unrolled
            let to = spot(first, lane + v * LANES);
            other_ahead[v] = other4(to.x, to.y);
        }
    }
    for (var i = 0u; i < ROWS; i++) { // unrolled
        for (var s = 0u; s < STAGES; s++) { // unrolled
            let piece = piece_at(first, i * STAGES + s);
            // Its part of the stage is the subgroup's own.
            subgroupBarrier();
            for (var j = 0u; j < STAGED; j++) { // unrolled
                let at = own + j * (SIDE / 4u);
                coopStoreT(sum[i * COLUMNS + s * STAGED + j], &stage[at * UNIT], PITCH_SUMS * UNIT);
            }
            @if(RESIDUAL || GELU_GRADIENT) var other: array<vec4f, VECTORS>;
            @if(RESIDUAL || GELU_GRADIENT) {
                for (var v = 0u; v < VECTORS; v++) { // unrolled
                    other[v] = other_ahead[v];
                    if (i * STAGES + s + 1u < ROWS * STAGES) {
                        let to = spot(piece_at(first, i * STAGES + s + 1u), lane + v * LANES);
                        other_ahead[v] = other4(to.x, to.y);
                    }
                }
            }
            subgroupBarrier();
            for (var v = 0u; v < VECTORS; v++) { // unrolled
                let at = lane + v * LANES;
                let down = min(at, SIZE_PIECE - 1u) / WIDTH_PIECE;
                let right = min(at, SIZE_PIECE - 1u) % WIDTH_PIECE;
                let inside = piece.x + down < params.m && piece.y + right * 4u < params.n;
                let to = spot(piece, at);
                let product = sums(own + down * PITCH_SUMS + right);
                @if(RESIDUAL || GELU_GRADIENT) let read = other[v];
                @if(!RESIDUAL && !GELU_GRADIENT) let read = vec4f();
                finish_with(product, read, c0, to.x, to.y, at < SIZE_PIECE && inside);
            }
        }
    }
}
