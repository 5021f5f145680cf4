// What the attention kernels on matrix units share: their uniform, queries, keys and values, and how these are cut.
//
// qkv [batch, tokens, 3, heads, 4 D4], o and dout [batch, tokens, heads, 4 D4], 16-bit floats.

import package::lib::matrix_units::SIDE;

// Vectors of four in a head, and matrices.
const D4: u32 = 16u;
const DEPTH: u32 = 4u;
// Invocations of a subgroup, and subgroups of a workgroup.
const LANES: u32 = 32u;
const SUBGROUPS: u32 = 4u;
const THREADS: u32 = 128u;
// Tokens of the other side that are handled together, and matrices of these.
const TILE: u32 = 16u;
const WIDTH: u32 = 1u;
// Vectors of a tile that an invocation loads, for each of both vectors of a token, and vectors of a row of sums that it
// works on.
const TURNS: u32 = 2u;
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

struct Params {
    tokens: u32,
    heads: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<vec4<f16>>;

// First vector of head `head` of token `token` in qkv: part 0 query, 1 key, 2 value.
fn place(batch: u32, token: u32, part: u32, head: u32) -> u32 {
    return (((batch * params.tokens + token) * 3u + part) * params.heads + head) * D4;
}

// The same in o and dout.
fn place_out(batch: u32, token: u32, head: u32) -> u32 {
    return ((batch * params.tokens + token) * params.heads + head) * D4;
}
