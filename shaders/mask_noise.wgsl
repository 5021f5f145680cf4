// Noise whose ranks make masks: the `hidden` patches of a picture with the largest noise get hidden.
//
// counter [4] u32 (seed, step, stream, place of the first picture among those of the step); noise [batch, grid²] f32,
// patches in raster order.
// Uniform in [0, 1): one invocation a patch.
// GRID: the first patch of each 2 x 2 gets noise in [0, 1), the others in [1, 2]: one invocation a patch.
// BLOCK: rectangles are laid until they cover `hidden` patches, at most LAID of them: the area uniform from `least` to
// what is still to cover, the aspect log-uniform (BEiT's blockwise masking, Bao et al. 2021). Uncovered patches get
// noise in [0, 1), covered ones whole numbers from 1 on, larger the earlier their first rectangle and, within one,
// the earlier they come in raster order: ranking hides all rectangles but the last, of which it cuts the lowest rows.
// One workgroup a picture, as each rectangle depends on what those before it covered.
// one of: - | BLOCK | GRID

import package::lib::random::unit;
import package::lib::draw::draw;
@if(BLOCK) import package::lib::draw::below;
@if(BLOCK) import package::lib::draw::rectangle;
import package::lib::spread::element;

const WORKGROUP: u32 = 64u;
// What random bits are drawn for.
const NOISE: u32 = 0x4e4f4953u;
@if(BLOCK) const SHAPE: u32 = 0x424c4f43u;
@if(BLOCK) const PLACE: u32 = 0x424c504cu;
@if(BLOCK) const LAID: u32 = 64u;
// (log2(0.3) + 4) 2^13, and the span to (log2(1 / 0.3) + 4) 2^13.
@if(BLOCK) const LOG_MIN: u32 = 18539u;
@if(BLOCK) const LOG_SPAN: u32 = 28458u;

struct Params {
    length: u32,
    across: u32,
    grid: u32,
    hidden: u32,
    least: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> counter: array<u32>;
@group(0) @binding(2) var<storage, read_write> noise: array<f32>;

fn uniform_noise(i: u32) -> f32 {
    return unit(draw(vec3u(counter[0], counter[1], counter[2]), NOISE, i).x);
}

@if(!BLOCK)
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = element(id, params.across);
    if (id.x >= params.across || i >= params.length) {
        return;
    }
    let patches = params.grid * params.grid;
    var value = uniform_noise(counter[3] * patches + i);
    @if(GRID) {
        let place = i % patches;
        if (((place / params.grid) | (place % params.grid)) % 2u == 1u) {
            value += 1.0;
        }
    }
    noise[i] = value;
}

@if(BLOCK) var<workgroup> covered: atomic<u32>;
@if(BLOCK) var<workgroup> total: u32;

// Here `length` counts pictures and `across` workgroups.
@if(BLOCK)
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let b = element(group, params.across);
    if (b >= params.length) {
        return;
    }
    let patches = params.grid * params.grid;
    let first = b * patches;
    let picture = counter[3] + b;
    // A patch is written and read by one invocation alone.
    for (var place = thread; place < patches; place += WORKGROUP) {
        noise[first + place] = uniform_noise(picture * patches + place);
    }
    if (thread == 0u) {
        atomicStore(&covered, 0u);
        total = 0u;
    }
    let now = vec3u(counter[0], counter[1], counter[2]);
    for (var laid = 0u; laid < LAID; laid += 1u) {
        let done = workgroupUniformLoad(&total);
        if (done >= params.hidden) {
            break;
        }
        let bits = draw(now, SHAPE, picture * LAID + laid);
        let most = max(params.hidden - done, params.least);
        let area = params.least + below(bits.x, most - params.least + 1u);
        let wanted = rectangle(4u * area, LOG_MIN + below(bits.y, LOG_SPAN + 1u));
        let extent = clamp(wanted, vec2u(1u), vec2u(params.grid));
        let spot = draw(now, PLACE, picture * LAID + laid);
        let left = below(spot.x, params.grid - extent.x + 1u);
        let top = below(spot.y, params.grid - extent.y + 1u);
        var fresh = 0u;
        for (var place = thread; place < patches; place += WORKGROUP) {
            // Left of or above the rectangle the difference wraps around and is large.
            let inside = place % params.grid - left < extent.x && place / params.grid - top < extent.y;
            if (inside && noise[first + place] < 1.0) {
                noise[first + place] = f32((LAID - laid) * patches - place);
                fresh += 1u;
            }
        }
        atomicAdd(&covered, fresh);
        workgroupBarrier();
        if (thread == 0u) {
            total = atomicLoad(&covered);
        }
    }
}
