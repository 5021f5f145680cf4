// Gradient of attention without its matrix (FlashAttention-2, Dao 2023) and without atomics, in two launches. With
// p = exp(scale q · k - lse), delta = do · o and t = p (do · v - delta):
// QUERIES: dq = scale Σ t k over the keys, and delta for the other launch;
// otherwise dk = scale Σ t q and dv = Σ p do over the queries.
//
// qkv, dqkv [batch, tokens, 3, heads, 4 D4], o, dout [batch, tokens, heads, 4 D4], lse, delta [batch, heads, tokens],
// all f32. One invocation a query, or a key, with its vectors and sums in registers, over the tokens of the other side
// in order, GROUP at a time. A workgroup takes WORKGROUP tokens of one head and reads tiles of TILE rows of the other
// side through workgroup memory. Tokens along x, heads along y, batch along z. The launches write disjoint parts of
// dqkv.
// conditions: QUERIES

import package::lib::heads::{params, qkv, D4, GROUP, place, place_out};

const WORKGROUP: u32 = 64u;
// Rows of a tile, a multiple of GROUP, at most WORKGROUP.
const TILE: u32 = 16u;

@group(0) @binding(2) var<storage, read> dout: array<vec4f>;
@group(0) @binding(3) var<storage, read> lse: array<f32>;
@group(0) @binding(4) var<storage, read_write> dqkv: array<vec4f>;
@if(QUERIES) @group(0) @binding(5) var<storage, read_write> delta: array<f32>;
@if(!QUERIES) @group(0) @binding(5) var<storage, read> delta: array<f32>;
@if(QUERIES) @group(0) @binding(6) var<storage, read> o: array<vec4f>;

// Rows of the other side: keys and values, or queries and output gradients with their lse and delta.
var<workgroup> tile_x: array<vec4f, TILE * D4>;
var<workgroup> tile_y: array<vec4f, TILE * D4>;
@if(!QUERIES) var<workgroup> tile_lse: array<f32, TILE>;
@if(!QUERIES) var<workgroup> tile_delta: array<f32, TILE>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let token = group.x * WORKGROUP + thread;
    let head = group.y;
    let batch = group.z;
    // Invocations beyond the last token repeat it, for the barriers, and write nothing.
    let last = params.tokens - 1u;
    let own = min(token, last);
    let statistics = (batch * params.heads + head) * params.tokens;

    // Own vectors: scaled query and output gradient, or scaled key and value.
    var x: array<vec4f, D4>;
    var y: array<vec4f, D4>;
    // Sums: dq, or dk and dv.
    var dx: array<vec4f, D4>;
    @if(!QUERIES) var dy: array<vec4f, D4>;
    @if(QUERIES) let from_x = place(batch, own, 0u, head);
    @if(QUERIES) let from_y = place_out(batch, own, head);
    @if(!QUERIES) let from_x = place(batch, own, 1u, head);
    @if(!QUERIES) let from_y = place(batch, own, 2u, head);
    @if(QUERIES) var own_delta = 0.0;
    for (var d = 0u; d < D4; d += 1u) {
        x[d] = qkv[from_x + d] * params.scale;
        dx[d] = vec4f();
        @if(QUERIES) {
            let b = dout[from_y + d];
            y[d] = b;
            own_delta += dot(b, o[from_y + d]);
        }
        @if(!QUERIES) {
            y[d] = qkv[from_y + d];
            dy[d] = vec4f();
        }
    }
    @if(QUERIES) let own_lse = lse[statistics + own];

    for (var first = 0u; first < params.tokens; first += TILE) {
        let count = min(TILE, params.tokens - first);
        // Whole groups are filled: what lies beyond the last token repeats it and gets no weight.
        let filled = (count + GROUP - 1u) / GROUP * GROUP;
        workgroupBarrier();
        for (var i = thread; i < filled * D4; i += WORKGROUP) {
            let row = min(first + i / D4, last);
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
            if (thread < filled) {
                let row = statistics + min(first + thread, last);
                tile_lse[thread] = lse[row];
                tile_delta[thread] = delta[row];
            }
        }
        workgroupBarrier();
        for (var j = 0u; j < count; j += GROUP) {
            let rows = vec4u(j) + vec4u(0u, 1u, 2u, 3u);
            let at = rows * D4;
            @if(QUERIES) let lses = vec4f(own_lse);
            @if(QUERIES) let deltas = vec4f(own_delta);
            @if(!QUERIES) let lses =
                vec4f(tile_lse[rows.x], tile_lse[rows.y], tile_lse[rows.z], tile_lse[rows.w]);
            @if(!QUERIES) let deltas =
                vec4f(tile_delta[rows.x], tile_delta[rows.y], tile_delta[rows.z], tile_delta[rows.w]);

            var logits = vec4f();
            var slopes = vec4f();
            for (var d = 0u; d < D4; d += 1u) {
                let a = x[d];
                let b = y[d];
                logits += vec4f(
                    dot(a, tile_x[at.x + d]),
                    dot(a, tile_x[at.y + d]),
                    dot(a, tile_x[at.z + d]),
                    dot(a, tile_x[at.w + d]),
                );
                slopes += vec4f(
                    dot(b, tile_y[at.x + d]),
                    dot(b, tile_y[at.y + d]),
                    dot(b, tile_y[at.z + d]),
                    dot(b, tile_y[at.w + d]),
                );
            }
            let p = select(vec4f(), exp(logits - lses), rows < vec4u(count));
            let t = p * (slopes - deltas);
            for (var d = 0u; d < D4; d += 1u) {
                dx[d] += t.x * tile_x[at.x + d] + t.y * tile_x[at.y + d]
                    + t.z * tile_x[at.z + d] + t.w * tile_x[at.w + d];
                @if(!QUERIES) {
                    dy[d] += p.x * tile_y[at.x + d] + p.y * tile_y[at.y + d]
                        + p.z * tile_y[at.z + d] + p.w * tile_y[at.w + d];
                }
            }
        }
    }
    if (token < params.tokens) {
        for (var d = 0u; d < D4; d += 1u) {
            dqkv[from_x + d] = dx[d] * params.scale;
            @if(!QUERIES) {
                dqkv[from_y + d] = dy[d];
            }
        }
        @if(QUERIES) {
            delta[statistics + token] = own_delta;
        }
    }
}
