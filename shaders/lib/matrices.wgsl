// What the attention kernels on matrix units share: queries, keys and values, and how these are cut.
//
// qkv [batch, tokens, 3, heads, 4 D4], 16-bit floats.

import package::lib::heads::D4;
import package::lib::matrix_units::SIDE;

// Matrices in a head: 4 D4 / SIDE.
const DEPTH: u32 = 4u;
// Invocations of a subgroup, subgroups of a workgroup, and LANES * SUBGROUPS.
const LANES: u32 = 32u;
const SUBGROUPS: u32 = 4u;
const THREADS: u32 = 128u;
// Tokens of the other side that are handled together, and matrices of these: TILE / SIDE.
const TILE: u32 = 16u;
const WIDTH: u32 = 1u;
// Vectors of a tile that an invocation loads, for each of both vectors of a token: TILE * D4 / THREADS, rounded up.
const TURNS: u32 = 2u;
// Vectors of a row of sums that an invocation works on: TILE / 4 / SHARERS.
const ROUNDS: u32 = 2u;

// Tokens that a workgroup owns, SIDE each subgroup.
const OWN: u32 = SUBGROUPS * SIDE;
// Rows lie 16 bytes apart, so that a column of them is spread over banks: those of a head, of sums over a tile or over a
// matrix of results, and of weights of a tile.
const PITCH: u32 = D4 + 2u;
const PITCH_SUMS: u32 = max(TILE, SIDE) / 4u + 1u;
const PITCH_WEIGHTS: u32 = TILE / 4u + 2u;
// Invocations that share a row of sums. What they hand each other through workgroup memory stands between subgroup
// barriers, which do for compilers what they must on all adapters known, though naga asks them for less than order in
// workgroup memory; where not, the trial at the start shows it.
const SHARERS: u32 = LANES / SIDE;

@group(0) @binding(1) var<storage, read> qkv: array<vec4<f16>>;
