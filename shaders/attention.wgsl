// Multi-head attention without its matrix (FlashAttention-2, Dao 2023): o = softmax(scale q kᵀ) v, lse its normaliser.
//
// qkv [batch, tokens, 3, heads, 4 D4], o [batch, tokens, heads, 4 D4], lse [batch, heads, tokens], f32.
// One invocation a query: query and output in registers, running maximum and sum over the keys in order. A workgroup
// takes WORKGROUP queries of one head (x), heads along y, batch along z. Tiles of keys and values go through workgroup
// memory; with DIRECT, for processors, all invocations read the same row from memory and there are no barriers.
// conditions: DIRECT

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
@group(0) @binding(2) var<storage, read_write> o: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> lse: array<f32>;

@if(!DIRECT) var<workgroup> tile_k: array<vec4f, TILE * D4>;
@if(!DIRECT) var<workgroup> tile_v: array<vec4f, TILE * D4>;

// Vector d of head `head` of token `token`: which = 0 query, 1 key, 2 value.
fn place(batch: u32, token: u32, which: u32, head: u32) -> u32 {
    return (((batch * params.tokens + token) * 3u + which) * params.heads + head) * D4;
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
    let from_q = place(batch, own, 0u, head);
    var q: array<vec4f, D4>;
    var sum: array<vec4f, D4>;
    for (var d = 0u; d < D4; d += 1u) {
        q[d] = qkv[from_q + d] * params.scale;
        sum[d] = vec4f();
    }
    var most = -3.0e38;
    var total = 0.0;
    for (var first = 0u; first < params.tokens; first += TILE) {
        let count = min(TILE, params.tokens - first);
        @if(!DIRECT) {
            workgroupBarrier();
            for (var i = thread; i < count * D4; i += WORKGROUP) {
                let row = first + i / D4;
                tile_k[i] = qkv[place(batch, row, 1u, head) + i % D4];
                tile_v[i] = qkv[place(batch, row, 2u, head) + i % D4];
            }
            workgroupBarrier();
        }
        for (var j = 0u; j < count; j += 1u) {
            @if(DIRECT) let from_k = place(batch, first + j, 1u, head);
            @if(DIRECT) let from_v = place(batch, first + j, 2u, head);
            var products = vec4f();
            for (var d = 0u; d < D4; d += 1u) {
                @if(DIRECT) let k = qkv[from_k + d];
                @if(!DIRECT) let k = tile_k[j * D4 + d];
                products += q[d] * k;
            }
            let logit = products.x + products.y + products.z + products.w;
            let larger = max(most, logit);
            let shrink = exp(most - larger);
            let weight = exp(logit - larger);
            most = larger;
            total = total * shrink + weight;
            for (var d = 0u; d < D4; d += 1u) {
                @if(DIRECT) let v = qkv[from_v + d];
                @if(!DIRECT) let v = tile_v[j * D4 + d];
                sum[d] = sum[d] * shrink + weight * v;
            }
        }
    }
    if (token < params.tokens) {
        let to = ((batch * params.tokens + token) * params.heads + head) * D4;
        for (var d = 0u; d < D4; d += 1u) {
            o[to + d] = sum[d] / total;
        }
        lse[(batch * params.heads + head) * params.tokens + token] = most + log(total);
    }
}
