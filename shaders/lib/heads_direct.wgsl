// What the attention kernels share for processors without subgroups of 8, or with heads too large to broadcast: their
// shape, their uniform, queries, keys and values, and where the vectors of four tokens lie. Four tokens are handled
// together as a matrix, a column each.
//
// qkv [batch, tokens, 3, heads, 4 vectors], o and dout [batch, tokens, heads, 4 vectors], f32.

// Invocations of a workgroup.
const LANES: u32 = 8u;
// Tokens of an invocation: one component each.
const OWN: u32 = 4u;
// Tokens of the other side that are handled together: the columns of two matrices.
const GROUP: u32 = 8u;

struct Params {
    tokens: u32,
    heads: u32,
    vectors: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;

// Four tokens from `first` on; those beyond the last one repeat it.
fn four(first: u32) -> vec4u {
    return min(vec4u(first) + vec4u(0u, 1u, 2u, 3u), vec4u(params.tokens - 1u));
}

// First vectors of `tokens` in qkv: part 0 queries, 1 keys, 2 values.
fn places(batch: u32, tokens: vec4u, part: u32, head: u32) -> vec4u {
    return (((batch * params.tokens + tokens) * 3u + part) * params.heads + head) * params.vectors;
}

// The same in o and dout.
fn places_out(batch: u32, tokens: vec4u, head: u32) -> vec4u {
    return ((batch * params.tokens + tokens) * params.heads + head) * params.vectors;
}

fn load(at: vec4u) -> mat4x4f {
    return mat4x4f(qkv[at.x], qkv[at.y], qkv[at.z], qkv[at.w]);
}
