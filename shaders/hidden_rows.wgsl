// Where the hidden patches are among all tokens, the class token the first of these.
//
// restore [batch, tokens - 1] u32, each patch's place in the shuffled order, those below `visible` being seen; rows and
// patches [batch, hidden] u32, the hidden ones in that order as tokens and as patches; inverse [batch, tokens] u32, where
// each token went among them, `hidden` or more where it did not; one [batch, hidden] f32, 1 everywhere.
// One invocation a token.

import package::lib::spread::element;

const WORKGROUP: u32 = 64u;

struct Params {
    length: u32,
    across: u32,
    tokens: u32,
    visible: u32,
    hidden: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> restore: array<u32>;
@group(0) @binding(2) var<storage, read_write> rows: array<u32>;
@group(0) @binding(3) var<storage, read_write> patches: array<u32>;
@group(0) @binding(4) var<storage, read_write> inverse: array<u32>;
@group(0) @binding(5) var<storage, read_write> one: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = element(id, params.across);
    if (id.x >= params.across || i >= params.length) {
        return;
    }
    let b = i / params.tokens;
    let token = i % params.tokens;
    var place = params.hidden;
    if (token > 0u) {
        let rank = restore[b * (params.tokens - 1u) + token - 1u];
        if (rank >= params.visible) {
            place = rank - params.visible;
        }
    }
    inverse[i] = place;
    if (place < params.hidden) {
        let at = b * params.hidden + place;
        rows[at] = token;
        patches[at] = token - 1u;
        one[at] = 1.0;
    }
}
