// Where each picture is cut before it is resampled: x, y, width, height in whole pixels, and whether to flip.
//
// sizes [batch, 4] u32 (width, height, _, _); boxes [batch, 8] f32 (x, y, width, height, flip 0 or 1, 0, 0, 0);
// counter [4] u32 (seed, step, stream, _) with RANDOM. One invocation a picture.
// RANDOM: torchvision's RandomResizedCrop: of up to TRIES draws of area and log-uniform aspect the first that fits,
// else the largest centred box within the aspect range; with `flip`, even chances of a flip.
// WHOLE: all of the picture. With neither, the largest centred square.
// one of: - | RANDOM | WHOLE

@if(RANDOM) import package::lib::draw::below;
@if(RANDOM) import package::lib::draw::draw;
@if(RANDOM) import package::lib::draw::rectangle;
@if(RANDOM) import package::lib::draw::times;
@if(RANDOM) import package::lib::draw::ONE;

const WORKGROUP: u32 = 64u;
@if(RANDOM) const TRIES: u32 = 10u;
// What random bits are drawn for.
@if(RANDOM) const SHAPE: u32 = 0x43524f50u;
@if(RANDOM) const PLACE: u32 = 0x504c4143u;

// Shares of the area and ratios in units of 2^-14; `log_*` are (log2(ratio) + 4) 2^13.
struct Params {
    batch: u32,
    flip: u32,
    scale_min: u32,
    scale_max: u32,
    ratio_min: u32,
    ratio_max: u32,
    log_min: u32,
    log_max: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sizes: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> boxes: array<vec4f>;
@if(RANDOM) @group(0) @binding(3) var<storage, read> counter: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let b = id.x;
    if (b >= params.batch) {
        return;
    }
    let size = sizes[b].xy;
    var extent = size;
    var flip = 0.0;
    @if(!RANDOM && !WHOLE) {
        extent = vec2u(min(size.x, size.y));
    }
    @if(RANDOM) {
        if (size.x * ONE < size.y * params.ratio_min) {
            extent.y = min((size.x * ONE + params.ratio_min / 2u) / params.ratio_min, size.y);
        } else if (size.x * ONE > size.y * params.ratio_max) {
            extent.x = min((size.y * params.ratio_max + ONE / 2u) / ONE, size.x);
        }
    }
    var corner = (size - extent) / 2u;
    @if(RANDOM) {
        let now = vec3u(counter[0], counter[1], counter[2]);
        for (var attempt = 0u; attempt < TRIES; attempt += 1u) {
            let bits = draw(now, SHAPE, b * TRIES + attempt);
            let share = params.scale_min + below(bits.x, params.scale_max - params.scale_min + 1u);
            let aspect = params.log_min + below(bits.y, params.log_max - params.log_min + 1u);
            let wanted = rectangle(times(4u * size.x * size.y, share), aspect);
            if (all(wanted >= vec2u(1u)) && all(wanted <= size)) {
                let place = draw(now, PLACE, b * TRIES + attempt);
                extent = wanted;
                corner = vec2u(below(place.x, size.x - extent.x + 1u), below(place.y, size.y - extent.y + 1u));
                break;
            }
        }
        let coin = draw(now, PLACE, b * TRIES).z >> 31u;
        flip = f32(coin * params.flip);
    }
    boxes[b * 2u] = vec4f(vec4u(corner, extent));
    boxes[b * 2u + 1u] = vec4f(flip, 0.0, 0.0, 0.0);
}
