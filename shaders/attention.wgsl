// Multi-head attention without its matrix (FlashAttention-2, Dao 2023): o = softmax(scale q kᵀ) v, and the logarithm of
// the normaliser, lse = ln Σ exp(scale q kᵀ).
//
// qkv [batch, tokens, 3, heads, 4 D4], o [batch, tokens, heads, 4 D4], lse [batch, heads, tokens], all f32.
// One invocation a query, with query and output in registers and a running maximum and sum over the keys in order,
// GROUP at a time. A workgroup takes WORKGROUP queries of one head and reads tiles of TILE keys and values through
// workgroup memory. Tokens along x, heads along y, batch along z.

import package::lib::heads::{params, qkv, D4, GROUP, place, place_out};

const WORKGROUP: u32 = 64u;
// Rows of a tile, a multiple of GROUP.
const TILE: u32 = 16u;
// Below any logit, and exp(LOWEST - logit) is zero without overflow on the way.
const LOWEST: f32 = -1.0e30;

@group(0) @binding(2) var<storage, read_write> o: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> lse: array<f32>;

var<workgroup> tile_k: array<vec4f, TILE * D4>;
var<workgroup> tile_v: array<vec4f, TILE * D4>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let token = group.x * WORKGROUP + thread;
    let head = group.y;
    let batch = group.z;
    // Invocations beyond the last token repeat it, for the barriers, and write nothing.
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
        // Whole groups are filled: what lies beyond the last token repeats it and gets no weight.
        let filled = (count + GROUP - 1u) / GROUP * GROUP * D4;
        workgroupBarrier();
        for (var i = thread; i < filled; i += WORKGROUP) {
            let row = min(first + i / D4, last);
            tile_k[i] = qkv[place(batch, row, 1u, head) + i % D4];
            tile_v[i] = qkv[place(batch, row, 2u, head) + i % D4];
        }
        workgroupBarrier();
        for (var j = 0u; j < count; j += GROUP) {
            let rows = vec4u(j) + vec4u(0u, 1u, 2u, 3u);
            let at = rows * D4;
            var products = vec4f();
            for (var d = 0u; d < D4; d += 1u) {
                let x = q[d];
                products += vec4f(
                    dot(x, tile_k[at.x + d]),
                    dot(x, tile_k[at.y + d]),
                    dot(x, tile_k[at.z + d]),
                    dot(x, tile_k[at.w + d]),
                );
            }
            let logits = select(vec4f(LOWEST), products, rows < vec4u(count));
            let larger = max(most, max(max(logits.x, logits.y), max(logits.z, logits.w)));
            let shrink = exp(most - larger);
            let weights = exp(logits - larger);
            most = larger;
            total = total * shrink + weights.x + weights.y + weights.z + weights.w;
            for (var d = 0u; d < D4; d += 1u) {
                sum[d] = sum[d] * shrink + weights.x * tile_v[at.x + d] + weights.y * tile_v[at.y + d]
                    + weights.z * tile_v[at.z + d] + weights.w * tile_v[at.w + d];
            }
        }
    }
    if (token < params.tokens) {
        let to = place_out(batch, token, head);
        for (var d = 0u; d < D4; d += 1u) {
            o[to + d] = sum[d] / total;
        }
        lse[(batch * params.heads + head) * params.tokens + token] = most + log(total);
    }
}
