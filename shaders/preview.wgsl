// A strip a picture: visible patches | reconstruction | reconstruction with visible patches | original.
//
// image [batch, 3, side, side] normalised, pred [batch, patches, patch_side² 3] (rows, columns, channels), mask
// [batch, patches] (1 hidden), stats [batch * patches, 2] with DENORMALISE; strip [batch, side, 4 side] u32 RGBX.
// One invocation a pixel of the strip.
// conditions: DENORMALISE

const WORKGROUP: u32 = 64u;
const MEAN: vec3f = vec3f(0.485, 0.456, 0.406);
const DEVIATION: vec3f = vec3f(0.229, 0.224, 0.225);
// Neutral grey, 128 of 255.
const GROUND: f32 = 0.50196;

struct Params {
    length: u32,
    row: u32,
    side: u32,
    patch_side: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> image: array<f32>;
@group(0) @binding(2) var<storage, read> pred: array<f32>;
@group(0) @binding(3) var<storage, read> mask: array<f32>;
@group(0) @binding(4) var<storage, read_write> strip: array<u32>;
@if(DENORMALISE) @group(0) @binding(5) var<storage, read> stats: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = id.y * params.row + id.x;
    if (id.x >= params.row || i >= params.length) {
        return;
    }
    let panel = (i / params.side) % 4u;
    let x = i % params.side;
    let y = (i / (4u * params.side)) % params.side;
    let b = i / (4u * params.side * params.side);
    let p = params.patch_side;
    let grid = params.side / p;
    let number = b * grid * grid + (y / p) * grid + x / p;
    let at = (number * p * p + (y % p) * p + x % p) * 3u;
    let area = params.side * params.side;
    let from_image = b * 3u * area + y * params.side + x;

    let original = vec3f(image[from_image], image[from_image + area], image[from_image + 2u * area]) * DEVIATION + MEAN;
    var rebuilt = vec3f(pred[at], pred[at + 1u], pred[at + 2u]);
    @if(DENORMALISE) {
        rebuilt = rebuilt * stats[number * 2u + 1u] + stats[number * 2u];
    }
    rebuilt = rebuilt * DEVIATION + MEAN;
    let hidden = mask[number] != 0.0;
    var colour = original;
    if (panel == 0u && hidden) {
        colour = vec3f(GROUND);
    }
    if (panel == 1u || (panel == 2u && hidden)) {
        colour = rebuilt;
    }
    let bytes = vec3u(clamp(colour, vec3f(0.0), vec3f(1.0)) * 255.0 + 0.5);
    strip[i] = bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | 0xff000000u;
}
