// Noise whose ranks make masks: the patches with the largest noise get hidden.
//
// step u32 (seed, step, stream, 0); noise [batch, grid²] f32. One invocation a patch.
// Random: uniform in [0, 1).
// BLOCK: rectangles of random area and aspect, as in blockwise masking (Bao et al. 2021), are laid until they cover
// `hidden` patches; a patch under rectangle r gets 2 + LAID - r and a little more by raster order, so that ranking
// hides whole rectangles and cuts the last one by rows. Every invocation of a picture lays the same rectangles.
// GRID: the first patch of each 2 x 2 stays visible before any other, and gets noise below 1; others get 1 to 2.
// one of: - | BLOCK | GRID

import package::lib::random::pcg3d;
import package::lib::random::unit;

const WORKGROUP: u32 = 64u;
@if(BLOCK) const LAID: u32 = 64u;

struct Params {
    length: u32,
    row: u32,
    grid: u32,
    hidden: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> step: array<u32>;
@group(0) @binding(2) var<storage, read_write> noise: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = id.y * params.row + id.x;
    if (id.x >= params.row || i >= params.length) {
        return;
    }
    let patches = params.grid * params.grid;
    let place = i % patches;
    let batch = i / patches;
    let draw = unit(pcg3d(vec3u(step[0], step[1] * 4u + step[2], i)).x);
    @if(!BLOCK && !GRID) {
        noise[i] = draw;
    }
    @if(GRID) {
        let corner = (place / params.grid) % 2u == 0u && (place % params.grid) % 2u == 0u;
        noise[i] = select(1.0 + draw, draw, corner);
    }
    @if(BLOCK) {
        let x = place % params.grid;
        let y = place / params.grid;
        var value = draw;
        // The area of a union is at most the sum of areas: enough rectangles cover any number of patches.
        var found = false;
        for (var r = 0u; r < LAID; r += 1u) {
            let bits = pcg3d(vec3u(step[0] ^ 0x9e3779b9u, step[1] * 4u + step[2], batch * LAID + r));
            let bits2 = pcg3d(bits);
            let least = min(16.0, f32(patches) / 12.0);
            let area = mix(least, max(least, f32(params.hidden)), unit(bits.x));
            let aspect = exp(mix(-1.2039728, 1.2039728, unit(bits.y)));
            let width = clamp(u32(round(sqrt(area * aspect))), 1u, params.grid);
            let height = clamp(u32(round(sqrt(area / aspect))), 1u, params.grid);
            let left = u32(unit(bits2.x) * f32(params.grid - width + 1u));
            let top = u32(unit(bits2.y) * f32(params.grid - height + 1u));
            if (!found && x >= left && x < left + width && y >= top && y < top + height) {
                found = true;
                value = 2.0 + f32(LAID - r) + 0.9 * f32(patches - place) / f32(patches);
            }
        }
        noise[i] = value;
    }
}
