// native only
// Matrix product C = A B on matrix units, as matmul.wgsl: A and B of 16-bit floats, products and sums in f32.
//
// A workgroup computes a TILE_M x TILE_N tile of C in steps of TILE_K along k. Its invocations load vectors of four along
// the rows of A and B, TURNS_A and TURNS_B each and one step ahead, into workgroup memory, in rows as they are; then each
// subgroup multiplies ROWS x COLUMNS matrices of SIDE x SIDE. What is transposed is so by the order in which a matrix is
// read. Matrices give no access to their elements, so each is written to workgroup memory before the epilogue. Workgroup
// z runs over batches and parts of k, x and y over tiles in strips; rows and columns beyond C repeat the last ones and
// are not written, and what lies beyond the part of k is zero: all as in matmul.wgsl. Rows are whole vectors.
//
// WIDE keeps workgroup memory in vectors of four: Vulkan reads matrices from such, Metal does not. SIDE_16 is for
// matrices of 16 x 16, which NVIDIA and AMD have; Metal has 8 x 8.
// one of: NN | NT | TN
// one of: - | BIAS | BIAS+RESIDUAL | RESIDUAL | BIAS+GELU | BIAS+GELU+KEEP | GELU_GRADIENT | SUMS
// never: SUMS+NN | SUMS+NT
// one of: - | WIDE | WIDE+SIDE_16

import package::lib::product::{params, a4, b4, finish, place};
@if(SUMS) import package::lib::product::finish_sums;

enable f16;
enable wgpu_cooperative_matrix;

const TILE_M: u32 = 64u;
const TILE_N: u32 = 64u;
const TILE_K: u32 = 32u;
// Matrices that a subgroup computes, along m and n.
const ROWS: u32 = 2u;
const COLUMNS: u32 = 2u;
// Invocations of a subgroup.
const LANES: u32 = 32u;
const THREADS: u32 = 128u;
// Vectors of a step that an invocation loads.
const TURNS_A: u32 = 4u;
const TURNS_B: u32 = 4u;

@if(SIDE_16) const SIDE: u32 = 16u;
@if(!SIDE_16) const SIDE: u32 = 8u;
@if(SIDE_16) alias Left = coop_mat16x16<f16, A>;
@if(SIDE_16) alias Right = coop_mat16x16<f16, B>;
@if(SIDE_16) alias Sum = coop_mat16x16<f32, C>;
@if(!SIDE_16) alias Left = coop_mat8x8<f16, A>;
@if(!SIDE_16) alias Right = coop_mat8x8<f16, B>;
@if(!SIDE_16) alias Sum = coop_mat8x8<f32, C>;

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
// Elements of workgroup memory a vector.
@if(WIDE) const UNIT: u32 = 1u;
@if(!WIDE) const UNIT: u32 = 4u;

@if(WIDE) var<workgroup> tile_a: array<vec4<f16>, HEIGHT_A * PITCH_A>;
@if(WIDE) var<workgroup> tile_b: array<vec4<f16>, HEIGHT_B * PITCH_B>;
@if(!WIDE) var<workgroup> tile_a: array<f16, HEIGHT_A * PITCH_A * 4u>;
@if(!WIDE) var<workgroup> tile_b: array<f16, HEIGHT_B * PITCH_B * 4u>;
// A matrix of sums for each subgroup.
var<workgroup> sums: array<f32, SUBGROUPS * SIDE * SIDE>;

// Vector i of a step of A where the tile starts in row `row0` of C.
fn next_a(i: u32, a0: u32, row0: u32, k0: u32, k1: u32) -> vec4<f16> {
    @if(TN) {
        let k = k0 + i / LENGTH_A;
        let column = min(row0 + i % LENGTH_A * 4u, params.m - 4u);
        let v = a4(a0 + min(k, k1 - 1u) * params.m + column, 4u);
        return vec4<f16>(select(vec4f(), v, k < k1));
    }
    @if(!TN) {
        let k = k0 + i % LENGTH_A * 4u;
        let row = min(row0 + i / LENGTH_A, params.m - 1u);
        let v = a4(a0 + row * params.k + min(k, k1 - 4u), 4u);
        return vec4<f16>(select(vec4f(), v, k < k1));
    }
}

// Vector i of a step of B where the tile starts in column `column0` of C.
fn next_b(i: u32, b0: u32, column0: u32, k0: u32, k1: u32) -> vec4<f16> {
    @if(NT) {
        let k = k0 + i % LENGTH_B * 4u;
        let row = min(column0 + i / LENGTH_B, params.n - 1u);
        let v = b4(b0 + row * params.k + min(k, k1 - 4u), 4u);
        return vec4<f16>(select(vec4f(), v, k < k1));
    }
    @if(!NT) {
        let k = k0 + i / LENGTH_B;
        let column = min(column0 + i % LENGTH_B * 4u, params.n - 4u);
        let v = b4(b0 + min(k, k1 - 1u) * params.n + column, 4u);
        return vec4<f16>(select(vec4f(), v, k < k1));
    }
}

fn store_a(i: u32, v: vec4<f16>) {
    let at = (i / LENGTH_A * PITCH_A + i % LENGTH_A) * UNIT;
    @if(WIDE) {
        tile_a[at] = v;
    }
    @if(!WIDE) {
        tile_a[at] = v.x;
        tile_a[at + 1u] = v.y;
        tile_a[at + 2u] = v.z;
        tile_a[at + 3u] = v.w;
    }
}

// Vector `at` of the step of A in workgroup memory.
@if(SUMS)
fn at_a(at: u32) -> vec4f {
    @if(WIDE) {
        return vec4f(tile_a[at]);
    }
    @if(!WIDE) {
        let first = at * 4u;
        return vec4f(vec4<f16>(tile_a[first], tile_a[first + 1u], tile_a[first + 2u], tile_a[first + 3u]));
    }
}

fn store_b(i: u32, v: vec4<f16>) {
    let at = (i / LENGTH_B * PITCH_B + i % LENGTH_B) * UNIT;
    @if(WIDE) {
        tile_b[at] = v;
    }
    @if(!WIDE) {
        tile_b[at] = v.x;
        tile_b[at + 1u] = v.y;
        tile_b[at + 2u] = v.z;
        tile_b[at + 3u] = v.w;
    }
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let tile = place(group.xy, groups.xy);
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
    // The sum over k of four rows of C's share of A, in as many invocations as there are such fours.
    @if(SUMS) let sums_a = column0 == 0u && thread < LENGTH_A;
    @if(SUMS) var sum_a = vec4f();
    var a_ahead: array<vec4<f16>, TURNS_A>;
    var b_ahead: array<vec4<f16>, TURNS_B>;
    for (var t = 0u; t < TURNS_A; t++) { // unrolled
        a_ahead[t] = next_a(thread + t * THREADS, a0, row0, k0, k1);
    }
    for (var t = 0u; t < TURNS_B; t++) { // unrolled
        b_ahead[t] = next_b(thread + t * THREADS, b0, column0, k0, k1);
    }
    for (var k = k0; k < k1; k += TILE_K) {
        workgroupBarrier();
        for (var t = 0u; t < TURNS_A; t++) { // unrolled
            store_a(thread + t * THREADS, a_ahead[t]);
        }
        for (var t = 0u; t < TURNS_B; t++) { // unrolled
            store_b(thread + t * THREADS, b_ahead[t]);
        }
        workgroupBarrier();
        if (k + TILE_K < k1) {
            for (var t = 0u; t < TURNS_A; t++) { // unrolled
                a_ahead[t] = next_a(thread + t * THREADS, a0, row0, k + TILE_K, k1);
            }
            for (var t = 0u; t < TURNS_B; t++) { // unrolled
                b_ahead[t] = next_b(thread + t * THREADS, b0, column0, k + TILE_K, k1);
            }
        }
        @if(SUMS) {
            if (sums_a) {
                for (var row = 0u; row < TILE_K; row += 1u) {
                    sum_a += at_a(row * PITCH_A + thread);
                }
            }
        }
        for (var deep = 0u; deep < TILE_K; deep += SIDE) {
            var left: array<Left, ROWS>;
            for (var i = 0u; i < ROWS; i++) { // unrolled
                @if(TN) {
                    left[i] = coopLoad<Left>(&tile_a[(deep * PITCH_A + (row + i * SIDE) / 4u) * UNIT], PITCH_A * UNIT);
                }
                @if(!TN) {
                    left[i] = coopLoadT<Left>(&tile_a[((row + i * SIDE) * PITCH_A + deep / 4u) * UNIT], PITCH_A * UNIT);
                }
            }
            for (var j = 0u; j < COLUMNS; j++) { // unrolled
                @if(NT) {
                    let right =
                        coopLoad<Right>(&tile_b[((column + j * SIDE) * PITCH_B + deep / 4u) * UNIT], PITCH_B * UNIT);
                    for (var i = 0u; i < ROWS; i++) { // unrolled
                        sum[i * COLUMNS + j] = coopMultiplyAdd(left[i], right, sum[i * COLUMNS + j]);
                    }
                }
                @if(!NT) {
                    let right =
                        coopLoadT<Right>(&tile_b[(deep * PITCH_B + (column + j * SIDE) / 4u) * UNIT], PITCH_B * UNIT);
                    for (var i = 0u; i < ROWS; i++) { // unrolled
                        sum[i * COLUMNS + j] = coopMultiplyAdd(left[i], right, sum[i * COLUMNS + j]);
                    }
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
    let own = subgroup * SIDE * SIDE;
    for (var i = 0u; i < ROWS; i++) { // unrolled
        for (var j = 0u; j < COLUMNS; j++) { // unrolled
            workgroupBarrier();
            coopStoreT(sum[i * COLUMNS + j], &sums[own], SIDE);
            workgroupBarrier();
            for (var v = lane; v < SIDE * SIDE / 4u; v += LANES) {
                let at = own + v * 4u;
                let to_row = row0 + row + i * SIDE + v / (SIDE / 4u);
                let to_column = column0 + column + j * SIDE + v % (SIDE / 4u) * 4u;
                if (to_row < params.m && to_column < params.n) {
                    let value = vec4f(sums[at], sums[at + 1u], sums[at + 2u], sums[at + 3u]);
                    finish(value, c0, to_row, to_column);
                }
            }
        }
    }
}
