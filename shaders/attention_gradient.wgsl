// Gradient of attention without its matrix (FlashAttention-2, Dao 2023), without atomics: with p = exp(logit - lse) and
// dlogit = p (do · v - delta), where delta = do · o of a query,
// QUERIES: dq = scale sum over keys of dlogit k, and delta;
// otherwise: dk = scale sum over queries of dlogit q, dv = sum over queries of p do.
//
// qkv, dqkv [batch, tokens, 3, heads, 4 D4], o, dout [batch, tokens, heads, 4 D4], lse, delta [batch, heads, tokens], f32.
// One invocation a query, or a key, with its vectors in registers, over all others in order. A workgroup takes WORKGROUP
// tokens of one head (x), heads along y, batch along z. Tiles of the other side go through workgroup memory; with
// DIRECT, for processors, all invocations read the same row from memory and there are no barriers.
// conditions: QUERIES DIRECT

const WORKGROUP: u32 = 64u;
const TILE: u32 = 16u;
// Vectors of four a head.
const D4: u32 = 16u;

struct Params {
    tokens: u32,
    heads: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read> dout: array<vec4f>;
@group(0) @binding(3) var<storage, read> lse: array<f32>;
@if(QUERIES) @group(0) @binding(4) var<storage, read> o: array<vec4f>;
@if(QUERIES) @group(0) @binding(5) var<storage, read_write> delta: array<f32>;
@if(!QUERIES) @group(0) @binding(5) var<storage, read> delta: array<f32>;
@group(0) @binding(6) var<storage, read_write> dqkv: array<vec4f>;

// Rows of the other side: keys and values, or queries and output gradients with their lse and delta.
@if(!DIRECT) var<workgroup> tile_x: array<vec4f, TILE * D4>;
@if(!DIRECT) var<workgroup> tile_y: array<vec4f, TILE * D4>;
@if(!DIRECT && !QUERIES) var<workgroup> tile_lse: array<f32, TILE>;
@if(!DIRECT && !QUERIES) var<workgroup> tile_delta: array<f32, TILE>;

// Vector d of head `head` of token `token`: which = 0 query, 1 key, 2 value.
fn place(batch: u32, token: u32, which: u32, head: u32) -> u32 {
    return (((batch * params.tokens + token) * 3u + which) * params.heads + head) * D4;
}

fn place_out(batch: u32, token: u32, head: u32) -> u32 {
    return ((batch * params.tokens + token) * params.heads + head) * D4;
}

fn total(v: vec4f) -> f32 {
    return v.x + v.y + v.z + v.w;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let token = group.x * WORKGROUP + thread;
    let head = group.y;
    let batch = group.z;
    @if(DIRECT) {
        if (token >= params.tokens) {
            return;
        }
    }
    // Without DIRECT, invocations beyond the last token repeat it, for the barriers, and write nothing.
    let own = min(token, params.tokens - 1u);
    let rows = (batch * params.heads + head) * params.tokens;

    // Own vectors: query and output gradient, or key and value.
    var x: array<vec4f, D4>;
    var y: array<vec4f, D4>;
    // Sums: dq, or dk and dv.
    var dx: array<vec4f, D4>;
    @if(!QUERIES) var dy: array<vec4f, D4>;
    @if(QUERIES) let from_x = place(batch, own, 0u, head);
    @if(QUERIES) let from_y = place_out(batch, own, head);
    @if(!QUERIES) let from_x = place(batch, own, 1u, head);
    @if(!QUERIES) let from_y = place(batch, own, 2u, head);
    @if(QUERIES) var products = vec4f();
    for (var d = 0u; d < D4; d += 1u) {
        x[d] = qkv[from_x + d] * params.scale;
        @if(QUERIES) {
            y[d] = dout[from_y + d];
            products += y[d] * o[from_y + d];
        }
        @if(!QUERIES) {
            y[d] = qkv[from_y + d];
            dy[d] = vec4f();
        }
        dx[d] = vec4f();
    }
    @if(QUERIES) let own_lse = lse[rows + own];
    @if(QUERIES) let own_delta = total(products);

    for (var first = 0u; first < params.tokens; first += TILE) {
        let count = min(TILE, params.tokens - first);
        @if(!DIRECT) {
            workgroupBarrier();
            for (var i = thread; i < count * D4; i += WORKGROUP) {
                let row = first + i / D4;
                @if(QUERIES) {
                    tile_x[i] = qkv[place(batch, row, 1u, head) + i % D4];
                    tile_y[i] = qkv[place(batch, row, 2u, head) + i % D4];
                }
                @if(!QUERIES) {
                    tile_x[i] = qkv[place(batch, row, 0u, head) + i % D4];
                    tile_y[i] = dout[place_out(batch, row, head) + i % D4];
                }
            }
            @if(!QUERIES) {
                if (thread < count) {
                    tile_lse[thread] = lse[rows + first + thread];
                    tile_delta[thread] = delta[rows + first + thread];
                }
            }
            workgroupBarrier();
        }
        for (var j = 0u; j < count; j += 1u) {
            @if(DIRECT && QUERIES) let other_x = place(batch, first + j, 1u, head);
            @if(DIRECT && QUERIES) let other_y = place(batch, first + j, 2u, head);
            @if(DIRECT && !QUERIES) let other_x = place(batch, first + j, 0u, head);
            @if(DIRECT && !QUERIES) let other_y = place_out(batch, first + j, head);
            var logits = vec4f();
            var slopes = vec4f();
            for (var d = 0u; d < D4; d += 1u) {
                @if(DIRECT) let u = qkv[other_x + d];
                @if(DIRECT && QUERIES) let w = qkv[other_y + d];
                @if(DIRECT && !QUERIES) let w = dout[other_y + d];
                @if(!DIRECT) let u = tile_x[j * D4 + d];
                @if(!DIRECT) let w = tile_y[j * D4 + d];
                logits += x[d] * u;
                slopes += y[d] * w;
            }
            @if(QUERIES) let other_lse = own_lse;
            @if(QUERIES) let other_delta = own_delta;
            @if(DIRECT && !QUERIES) let other_lse = lse[rows + first + j];
            @if(DIRECT && !QUERIES) let other_delta = delta[rows + first + j];
            @if(!DIRECT && !QUERIES) let other_lse = tile_lse[j];
            @if(!DIRECT && !QUERIES) let other_delta = tile_delta[j];
            let p = exp(total(logits) - other_lse);
            let slope = p * (total(slopes) - other_delta) * params.scale;
            for (var d = 0u; d < D4; d += 1u) {
                @if(DIRECT) let u = qkv[other_x + d];
                @if(!DIRECT) let u = tile_x[j * D4 + d];
                dx[d] += slope * u;
                @if(DIRECT && !QUERIES) let w = dout[other_y + d];
                @if(!DIRECT && !QUERIES) let w = tile_y[j * D4 + d];
                @if(!QUERIES) {
                    dy[d] += p * w;
                }
            }
        }
    }
    if (token < params.tokens) {
        @if(QUERIES) {
            delta[rows + token] = own_delta;
        }
        for (var d = 0u; d < D4; d += 1u) {
            dqkv[from_x + d] = dx[d];
            @if(!QUERIES) {
                dqkv[from_y + d] = dy[d];
            }
        }
    }
}
