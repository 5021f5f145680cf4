// Bicubic resampling (Keys' kernel, a = -0.5) with antialiasing, one axis a launch, as Pillow weights its taps: the
// kernel is stretched when shrinking, taps end at the borders of the box, weights sum to 1.
//
// Horizontal: pixels [batch, slot] u32 (RGBX, rows of the picture's width), sizes [batch, 4] u32 (width, height, _, _)
// and boxes [batch, 8] f32 (x, y, width, height, flip, _, _, _; whole pixels) to lines [batch, 3, max_height, side] f32
// of colours in 0 .. 255; line 0 is the top of the box, and only as many lines are written as the box is high.
// VERTICAL: lines to image [batch, 3, side, side] f32, flipped left to right where the box says so, clamped to 0 .. 255
// and normalised: (colour / 255 - mean) / deviation.
// One invocation a pixel of the result, all three colours; it reads each tap once. A box is cut to its picture, a
// picture to its slot.
// conditions: VERTICAL

import package::lib::spread::element;

const WORKGROUP: u32 = 64u;
// Half the width of the kernel, in pixels of the coarser grid.
const SUPPORT: f32 = 2.0;

struct Params {
    length: u32,
    across: u32,
    slot: u32,
    side: u32,
    max_height: u32,
    mean_red: f32,
    mean_green: f32,
    mean_blue: f32,
    deviation_red: f32,
    deviation_green: f32,
    deviation_blue: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sizes: array<vec4u>;
@group(0) @binding(2) var<storage, read> boxes: array<vec4f>;
@if(!VERTICAL) @group(0) @binding(3) var<storage, read> pixels: array<u32>;
@if(!VERTICAL) @group(0) @binding(4) var<storage, read_write> lines: array<f32>;
@if(VERTICAL) @group(0) @binding(3) var<storage, read> lines: array<f32>;
@if(VERTICAL) @group(0) @binding(4) var<storage, read_write> image: array<f32>;

fn cubic(distance: f32) -> f32 {
    let x = abs(distance);
    if (x < 1.0) {
        return (1.5 * x - 2.5) * x * x + 1.0;
    }
    if (x < 2.0) {
        return -0.5 * (((x - 5.0) * x + 8.0) * x - 4.0);
    }
    return 0.0;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = element(id, params.across);
    if (id.x >= params.across || i >= params.length) {
        return;
    }
    @if(!VERTICAL) let height = params.max_height;
    @if(VERTICAL) let height = params.side;
    let column = i % params.side;
    let line = (i / params.side) % height;
    let b = i / (params.side * height);

    // The box inside its picture, the picture inside its slot: at least one pixel.
    let width = clamp(sizes[b].x, 1u, params.slot);
    let size = vec2u(width, clamp(sizes[b].y, 1u, params.slot / width));
    let cut = vec4u(boxes[b * 2u]);
    let corner = min(cut.xy, size - 1u);
    let extent = min(clamp(cut.zw, vec2u(1u), size - corner), vec2u(size.x, params.max_height));
    @if(!VERTICAL) {
        if (line >= extent.y) {
            return;
        }
    }
    @if(!VERTICAL) let taps = extent.x;
    @if(!VERTICAL) let place = column;
    @if(VERTICAL) let taps = extent.y;
    @if(VERTICAL) let place = line;

    // The centre of the result's pixel in the box, whole and fractional part apart, so that no precision is lost far
    // from the origin and that nothing is at scale 1.
    let centre = (2u * place + 1u) * taps;
    let whole = centre / (2u * params.side);
    let fraction = f32(centre % (2u * params.side)) / f32(2u * params.side);
    let stretch = max(f32(taps) / f32(params.side), 1.0);
    let reach = SUPPORT * stretch;
    let first = max(i32(whole) + i32(floor(fraction - reach + 0.5)), 0);
    let end = min(i32(whole) + i32(floor(fraction + reach + 0.5)), i32(taps));

    @if(!VERTICAL) let start = b * params.slot + (corner.y + line) * size.x + corner.x;
    let plane = params.max_height * params.side;
    @if(VERTICAL) let mirrored = boxes[b * 2u + 1u].x != 0.0;
    @if(VERTICAL) let start = b * 3u * plane + select(column, params.side - 1u - column, mirrored);
    var sum = vec3f();
    var weights = 0.0;
    for (var tap = first; tap < end; tap += 1) {
        let weight = cubic((f32(tap - i32(whole)) + 0.5 - fraction) / stretch);
        @if(!VERTICAL) let packed = pixels[start + u32(tap)];
        @if(!VERTICAL) let colour = vec3f(vec3u(packed, packed >> 8u, packed >> 16u) & vec3u(255u));
        @if(VERTICAL) let at = start + u32(tap) * params.side;
        @if(VERTICAL) let colour = vec3f(lines[at], lines[at + plane], lines[at + 2u * plane]);
        sum += weight * colour;
        weights += weight;
    }
    let value = sum / weights;
    @if(!VERTICAL) {
        let to = b * 3u * plane + line * params.side + column;
        lines[to] = value.x;
        lines[to + plane] = value.y;
        lines[to + 2u * plane] = value.z;
    }
    @if(VERTICAL) {
        let mean = vec3f(params.mean_red, params.mean_green, params.mean_blue);
        let deviation = vec3f(params.deviation_red, params.deviation_green, params.deviation_blue);
        let colour = (clamp(value, vec3f(0.0), vec3f(255.0)) / 255.0 - mean) / deviation;
        let area = params.side * params.side;
        let to = b * 3u * area + line * params.side + column;
        image[to] = colour.x;
        image[to + area] = colour.y;
        image[to + 2u * area] = colour.z;
    }
}
