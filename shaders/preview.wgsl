// Four panels a picture: visible patches | reconstruction | reconstruction with visible patches | original.
//
// image [batch, 3, side, side] f32, normalised; pred [batch, patches, patch_side² 3] f32 (rows, columns, channels);
// mask [batch, patches] f32, 1 where hidden; strip [batch, side, 4 side] u32 RGBX, with X = 255.
// DENORMALISE: stats [batch patches, 2] f32 (mean, deviation) bring predictions back first.
// One invocation a pixel of the picture, four pixels of the strip.
// conditions: DENORMALISE

import package::lib::spread::element;

const WORKGROUP: u32 = 64u;
// Bytes X, blue, green, red.
const GREY: u32 = 0xff808080u;
const OPAQUE: u32 = 0xff000000u;
// The largest byte.
const FULL: f32 = 255.0;

struct Params {
    length: u32,
    across: u32,
    side: u32,
    patch_side: u32,
    mean_red: f32,
    mean_green: f32,
    mean_blue: f32,
    deviation_red: f32,
    deviation_green: f32,
    deviation_blue: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> image: array<f32>;
@group(0) @binding(2) var<storage, read> pred: array<f32>;
@group(0) @binding(3) var<storage, read> mask: array<f32>;
@group(0) @binding(4) var<storage, read_write> strip: array<u32>;
@if(DENORMALISE) @group(0) @binding(5) var<storage, read> stats: array<f32>;

// To 8 bits, from normalised colours.
fn packed(colour: vec3f) -> u32 {
    let mean = vec3f(params.mean_red, params.mean_green, params.mean_blue);
    let deviation = vec3f(params.deviation_red, params.deviation_green, params.deviation_blue);
    let bytes = vec3u(clamp(colour * deviation + mean, vec3f(0.0), vec3f(1.0)) * FULL + 0.5);
    return bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | OPAQUE;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = element(id, params.across);
    if (id.x >= params.across || i >= params.length) {
        return;
    }
    let side = params.side;
    let p = params.patch_side;
    let x = i % side;
    let line = i / side;
    let y = line % side;
    let b = line / side;

    let area = side * side;
    let source = b * 3u * area + y * side + x;
    let original = packed(vec3f(image[source], image[source + area], image[source + 2u * area]));

    // Pictures lie below one another as far as patches are concerned.
    let number = line / p * (side / p) + x / p;
    let at = (number * p * p + y % p * p + x % p) * 3u;
    var prediction = vec3f(pred[at], pred[at + 1u], pred[at + 2u]);
    @if(DENORMALISE) {
        prediction = prediction * stats[number * 2u + 1u] + stats[number * 2u];
    }
    let rebuilt = packed(prediction);

    let hidden = mask[number] != 0.0;
    let to = line * 4u * side + x;
    strip[to] = select(original, GREY, hidden);
    strip[to + side] = rebuilt;
    strip[to + 2u * side] = select(original, rebuilt, hidden);
    strip[to + 3u * side] = original;
}
