// How far each predicted patch is from the picture: mean squares over its numbers, in normalised units and in colours.
//
// image [batch, 3, side, side] f32, normalised; pred [batch, patches, patch_side² 3] f32 (rows, columns, channels);
// errors [batch, patches, 2] f32: mean square of pred - image, and the same of colours between 0 and 1.
// DENORMALISE: stats [batch patches, 2] f32 (mean, deviation) bring predictions back first.
// One invocation a patch.
// conditions: DENORMALISE

import package::lib::spread::element;

const WORKGROUP: u32 = 64u;

struct Params {
    length: u32,
    across: u32,
    side: u32,
    patch_side: u32,
    deviation_red: f32,
    deviation_green: f32,
    deviation_blue: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> image: array<f32>;
@group(0) @binding(2) var<storage, read> pred: array<f32>;
@group(0) @binding(3) var<storage, read_write> errors: array<f32>;
@if(DENORMALISE) @group(0) @binding(4) var<storage, read> stats: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let number = element(id, params.across);
    if (id.x >= params.across || number >= params.length) {
        return;
    }
    let side = params.side;
    let p = params.patch_side;
    let grid = side / p;
    let area = side * side;
    let line = number / grid;
    // Top left pixel of the patch in the red plane of its picture.
    let corner = line / grid * 3u * area + line % grid * p * side + number % grid * p;
    let start = number * p * p * 3u;
    var sums = vec3f();
    for (var i = 0u; i < p * p; i += 1u) {
        var value = vec3f(pred[start + 3u * i], pred[start + 3u * i + 1u], pred[start + 3u * i + 2u]);
        @if(DENORMALISE) {
            value = value * stats[number * 2u + 1u] + stats[number * 2u];
        }
        let at = corner + i / p * side + i % p;
        let error = value - vec3f(image[at], image[at + area], image[at + 2u * area]);
        sums += error * error;
    }
    let deviation = vec3f(params.deviation_red, params.deviation_green, params.deviation_blue);
    let count = f32(3u * p * p);
    errors[number * 2u] = (sums.x + sums.y + sums.z) / count;
    errors[number * 2u + 1u] = dot(sums, deviation * deviation) / count;
}
