// Where each picture is cut: x, y, width, height in pixels and whether to flip.
//
// sizes [batch, 4] u32 (width, height, _, _), step [4] u32 (seed, step, stream, _), boxes [batch, 8] f32
// (x, y, width, height, flip, 0, 0, 0). One invocation a picture.
// RANDOM: random resized crop as torchvision draws it: up to TRIES of a uniform share of the area and a log-uniform
// aspect, else the largest centred box within the aspect range; and a flip with even chances.
// Otherwise the largest centred square, or with WHOLE all of the picture.
// one of: - | RANDOM | WHOLE

import package::lib::random::pcg3d;
import package::lib::random::unit;

const WORKGROUP: u32 = 64u;
@if(RANDOM) const TRIES: u32 = 10u;

struct Params {
    batch: u32,
    scale_min: f32,
    scale_max: f32,
    ratio_min: f32,
    ratio_max: f32,
    flip: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sizes: array<vec4u>;
@if(RANDOM) @group(0) @binding(2) var<storage, read> step: array<u32>;
@group(0) @binding(3) var<storage, read_write> boxes: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let b = id.x;
    if (b >= params.batch) {
        return;
    }
    let size = vec2f(sizes[b].xy);
    var extent = size;
    var flip = 0.0;
    @if(!RANDOM && !WHOLE) {
        extent = vec2f(min(size.x, size.y));
    }
    // Centred, on whole pixels.
    var corner = floor((size - extent) * 0.5);
    @if(RANDOM) {
        let aspect = size.x / size.y;
        if (aspect < params.ratio_min) {
            extent = vec2f(size.x, round(size.x / params.ratio_min));
        } else if (aspect > params.ratio_max) {
            extent = vec2f(round(size.y * params.ratio_max), size.y);
        }
        corner = floor((size - extent) * 0.5);
        let counter = step[1] * 4u + step[2];
        for (var i = 0u; i < TRIES; i += 1u) {
            let shape = pcg3d(vec3u(step[0] ^ 0x85ebca6bu, counter, b * TRIES + i));
            let place = pcg3d(shape);
            let area = size.x * size.y * mix(params.scale_min, params.scale_max, unit(shape.x));
            let ratio = exp(mix(log(params.ratio_min), log(params.ratio_max), unit(shape.y)));
            let wanted = round(vec2f(sqrt(area * ratio), sqrt(area / ratio)));
            if (wanted.x >= 1.0 && wanted.y >= 1.0 && wanted.x <= size.x && wanted.y <= size.y) {
                extent = wanted;
                corner = min(floor(vec2f(unit(place.x), unit(place.y)) * (size - extent + 1.0)), size - extent);
                break;
            }
        }
        let coin = pcg3d(vec3u(step[0] ^ 0xc2b2ae35u, counter, b));
        flip = select(0.0, 1.0, params.flip == 1u && (coin.x & 0x10000u) != 0u);
    }
    boxes[b * 2u] = vec4f(corner, extent);
    boxes[b * 2u + 1u] = vec4f(flip, 0.0, 0.0, 0.0);
}
