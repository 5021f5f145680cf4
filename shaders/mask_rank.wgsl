// Masks from noise: the rank of each patch's noise among its picture's, ties by index (a stable ascending argsort).
//
// noise [batch, patches] f32; restore [batch, patches] u32 = rank; keep [batch, visible] u32, keep[rank] = patch for
// ranks below `visible`; mask [batch, patches] f32 = 1 where hidden. One invocation a patch, counting smaller noise.

const WORKGROUP: u32 = 64u;

struct Params {
    length: u32,
    row: u32,
    patches: u32,
    visible: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> noise: array<f32>;
@group(0) @binding(2) var<storage, read_write> restore: array<u32>;
@group(0) @binding(3) var<storage, read_write> keep: array<u32>;
@group(0) @binding(4) var<storage, read_write> mask: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = id.y * params.row + id.x;
    if (id.x >= params.row || i >= params.length) {
        return;
    }
    let batch = i / params.patches;
    let patch_index = i % params.patches;
    let own = noise[i];
    var rank = 0u;
    for (var j = 0u; j < params.patches; j += 1u) {
        let other = noise[batch * params.patches + j];
        if (other < own || (other == own && j < patch_index)) {
            rank += 1u;
        }
    }
    restore[i] = rank;
    mask[i] = select(1.0, 0.0, rank < params.visible);
    if (rank < params.visible) {
        keep[batch * params.visible + rank] = patch_index;
    }
}
