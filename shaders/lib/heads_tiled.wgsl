// What the attention kernels share that multiply small matrices from workgroup memory: how invocations lie on a matrix,
// and where rows of vec4s lie in workgroup memory so that those read together lie in different banks.

import package::lib::heads::D4;

// Vec4s of a near row, 2, 4 or 8: a chunk of a head, or one number for each of 4 WIDE tokens.
const WIDE: u32 = 4u;

// A far row is a whole head. Its vec4s are exchanged within eights where these make up a head, else rows are kept at odd
// distances.
const RAGGED: u32 = (D4 % 8u + 7u) / 8u;
const PITCH: u32 = D4 | RAGGED;
const TWIST: u32 = 7u * (1u - RAGGED);

// Row and column of invocation `lane` among those that lie `across` side by side. Of two neighbours, both share a
// column, and of four, every other one shares a row: GPUs then serve more of them at once (as CUTLASS's lanes).
fn row_of(lane: u32, across: u32) -> u32 {
    return lane / (2u * across) * 2u + lane % 2u;
}

fn column_of(lane: u32, across: u32) -> u32 {
    return lane / 2u % across;
}

// Vec4 `d` of near row `row`.
fn near_place(row: u32, d: u32) -> u32 {
    return row * WIDE + (d ^ (row % WIDE));
}

// Vec4 `d` of far row `row`.
fn far_place(row: u32, d: u32) -> u32 {
    return row * PITCH + (d ^ (row & TWIST));
}
