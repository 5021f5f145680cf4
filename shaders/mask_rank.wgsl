// Masks from noise: the rank of each patch's noise among its picture's, ties by index, as in a stable ascending sort.
//
// noise [batch, patches] f32; restore [batch, patches] u32 = rank; keep [batch, visible] u32, keep[rank] = patch for
// ranks below `visible`; mask [batch, patches] f32 = 1 where hidden.
// One invocation a patch: it counts the patches that come before its own.

import package::lib::spread::element;

const WORKGROUP: u32 = 64u;

struct Params {
    length: u32,
    across: u32,
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
    let i = element(id, params.across);
    if (id.x >= params.across || i >= params.length) {
        return;
    }
    let own = noise[i];
    let b = i / params.patches;
    let end = (b + 1u) * params.patches;
    var rank = 0u;
    for (var j = b * params.patches; j < end; j += 1u) {
        let other = noise[j];
        rank += u32(other < own || (other == own && j < i));
    }
    let visible = rank < params.visible;
    restore[i] = rank;
    mask[i] = select(1.0, 0.0, visible);
    if (visible) {
        keep[b * params.visible + rank] = i % params.patches;
    }
}
