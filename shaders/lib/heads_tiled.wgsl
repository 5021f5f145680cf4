// What the attention kernels share that multiply small matrices from workgroup memory: where rows of vec4s lie there so
// that those read together lie in different banks. Near rows lie in fours, far rows in blocks of WIDE: which of these
// an invocation reads in turn is known when it is compiled, so that it computes few places.

import package::lib::heads::D4;

// Invocations that make one matrix together: a grid of THREADS_M x WIDE, or of TEAM / ACROSS x ACROSS.
const TEAM: u32 = 32u;
// Vec4s that hold one number for each of OTHER tokens: 2, 4 or 8. A near row has room for them, or for a chunk.
const WIDE: u32 = 4u;
// Vec4s of a chunk of a head: a multiple of WIDE, 8 at most.
const CHUNK: u32 = 8u;
// Tokens of the other side that are handled together.
const OTHER: u32 = 4u * WIDE;
const THREADS_M: u32 = TEAM / WIDE;
// The vec4s of near rows are exchanged within as many as have different places in the grid.
const NEAR_TWIST: u32 = min(THREADS_M, WIDE) - 1u;

// A far row is a whole head. Its vec4s are exchanged within eights where these make up a head, else rows lie at odd
// distances.
const RAGGED: u32 = min(D4 % 8u, 1u);
const PITCH: u32 = D4 | RAGGED;
const FAR_TWIST: u32 = 7u * (1u - RAGGED);

// Vec4 `d` of near row `row`, in its four of rows.
fn near_place(row: u32, d: u32) -> u32 {
    return row % 4u * CHUNK + (d ^ (row & NEAR_TWIST));
}

// Vec4 `d` of far row `row`, in its block.
fn far_place(row: u32, d: u32) -> u32 {
    return row % WIDE * PITCH + (d ^ ((row % WIDE) & FAR_TWIST));
}

// `sum` and a · b, from left to right, so that each multiplication goes with an addition.
fn add_dot(sum: f32, a: vec4f, b: vec4f) -> f32 {
    return sum + a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
}
