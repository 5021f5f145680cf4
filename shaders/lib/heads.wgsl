// What the attention kernels share but those for processors without subgroups of 8: their uniform, and where a token's
// vectors lie. Each declares qkv in its own element type.
//
// qkv [batch, tokens, 3, heads, 4 D4], o and dout [batch, tokens, heads, 4 D4].

// Vectors of four in a head.
const D4: u32 = 16u;

struct Params {
    tokens: u32,
    heads: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;

// First vector of head `head` of token `token` in qkv: part 0 query, 1 key, 2 value.
fn place(batch: u32, token: u32, part: u32, head: u32) -> u32 {
    return (((batch * params.tokens + token) * 3u + part) * params.heads + head) * D4;
}

// The same in o and dout.
fn place_out(batch: u32, token: u32, head: u32) -> u32 {
    return ((batch * params.tokens + token) * params.heads + head) * D4;
}
