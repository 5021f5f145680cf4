// Multi-head attention without its matrix (FlashAttention-2, Dao 2023): o = softmax(scale q kᵀ) v, and the logarithm of
// the normaliser, lse = ln Σ exp(scale q kᵀ).
//
// qkv [batch, tokens, 3, heads, 4 D4], o [batch, tokens, heads, 4 D4], lse [batch, heads, tokens], all f32.
// One invocation a query, with query and output in registers and a running maximum and sum over the keys in order,
// GROUP at a time. A workgroup takes WORKGROUP queries of one head; tokens along x, heads along y, batch along z. Tiles
// of TILE keys and values go through workgroup memory; with DIRECT, for processors, every invocation reads the same
// row straight from memory and there are no barriers.
// conditions: DIRECT

const WORKGROUP: u32 = 64u;
// Rows of a tile, a multiple of GROUP.
const TILE: u32 = 16u;
// Vectors of four in a head.
const D4: u32 = 16u;
// Keys between two updates of the running maximum: one component of a vec4 each.
const GROUP: u32 = 4u;
// Below any logit, and exp(LOWEST - logit) is zero without overflow on the way.
const LOWEST: f32 = -1.0e30;

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

// First vector of head `head` of token `token`: part 0 query, 1 key, 2 value.
fn place(batch: u32, token: u32, part: u32, head: u32) -> u32 {
    return (((batch * params.tokens + token) * 3u + part) * params.heads + head) * D4;
}

// Vector i of the keys.
fn key(i: u32) -> vec4f {
    @if(DIRECT) {
        return qkv[i];
    }
    @if(!DIRECT) {
        return tile_k[i];
    }
}

// Vector i of the values.
fn value(i: u32) -> vec4f {
    @if(DIRECT) {
        return qkv[i];
    }
    @if(!DIRECT) {
        return tile_v[i];
    }
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
    let last = params.tokens - 1u;
    let own = min(token, last);
    let from_q = place(batch, own, 0u, head);
    var q: array<vec4f, D4>;
    var sum: array<vec4f, D4>;
    for (var d = 0u; d < D4; d += 1u) {
        q[d] = qkv[from_q + d] * params.scale;
        sum[d] = vec4f();
    }
    var most = LOWEST;
    var total = 0.0;
    for (var first = 0u; first < params.tokens; first += TILE) {
        let count = min(TILE, params.tokens - first);
        @if(!DIRECT) {
            // Whole groups are filled: what lies beyond the last token repeats it and gets no weight.
            let filled = (count + GROUP - 1u) / GROUP * GROUP * D4;
            workgroupBarrier();
            for (var i = thread; i < filled; i += WORKGROUP) {
                let row = min(first + i / D4, last);
                tile_k[i] = qkv[place(batch, row, 1u, head) + i % D4];
                tile_v[i] = qkv[place(batch, row, 2u, head) + i % D4];
            }
            workgroupBarrier();
        }
        for (var j = 0u; j < count; j += GROUP) {
            let rows = vec4u(j) + vec4u(0u, 1u, 2u, 3u);
            @if(DIRECT) let tokens = min(vec4u(first) + rows, vec4u(last));
            @if(DIRECT) let k = vec4u(place(batch, 0u, 1u, head)) + tokens * (3u * params.heads * D4);
            @if(DIRECT) let v = k + vec4u(params.heads * D4);
            @if(!DIRECT) let k = rows * D4;
            @if(!DIRECT) let v = k;

            var products = vec4f();
            for (var d = 0u; d < D4; d += 1u) {
                let x = q[d];
                products +=
                    vec4f(dot(x, key(k.x + d)), dot(x, key(k.y + d)), dot(x, key(k.z + d)), dot(x, key(k.w + d)));
            }
            let logits = select(vec4f(LOWEST), products, rows < vec4u(count));
            let larger = max(most, max(max(logits.x, logits.y), max(logits.z, logits.w)));
            let shrink = exp(most - larger);
            let weights = exp(logits - larger);
            most = larger;
            total = total * shrink + weights.x + weights.y + weights.z + weights.w;
            for (var d = 0u; d < D4; d += 1u) {
                sum[d] = sum[d] * shrink + weights.x * value(v.x + d) + weights.y * value(v.y + d)
                    + weights.z * value(v.z + d) + weights.w * value(v.w + d);
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
