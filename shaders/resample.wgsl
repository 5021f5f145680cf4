// Bicubic resampling with antialiasing, one axis a launch, as Pillow does it (a = -0.5, support scaled when shrinking).
//
// First launch (horizontal): pixels [batch, slot] u32, RGBX rows of the picture's width; boxes [batch, 8]
// (x, y, width, height, flip); lines [batch, 3, max_height, side] f32, colours 0 to 255; only the rows of the box are
// written. One invocation a pixel of the result, all three colours.
// VERTICAL: lines to image [batch, 3, side, side] f32, flipped where the box says so, clamped to 0 .. 255, divided by
// 255 and normalised by mean and deviation. Taps are clipped at the borders of the box and their weights sum to 1.
// conditions: VERTICAL

const WORKGROUP: u32 = 64u;
const SUPPORT: f32 = 2.0;

struct Params {
    length: u32,
    row: u32,
    slot: u32,
    side: u32,
    max_height: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@if(!VERTICAL) @group(0) @binding(1) var<storage, read> pixels: array<u32>;
@if(!VERTICAL) @group(0) @binding(2) var<storage, read> sizes: array<vec4u>;
@group(0) @binding(3) var<storage, read> boxes: array<vec4f>;
@if(!VERTICAL) @group(0) @binding(4) var<storage, read_write> lines: array<f32>;
@if(VERTICAL) @group(0) @binding(4) var<storage, read> lines: array<f32>;
@if(VERTICAL) @group(0) @binding(5) var<storage, read_write> image: array<f32>;

@if(VERTICAL) const MEAN: vec3f = vec3f(0.485, 0.456, 0.406);
@if(VERTICAL) const DEVIATION: vec3f = vec3f(0.229, 0.224, 0.225);

// Keys' cubic with a = -0.5.
fn cubic(t: f32) -> f32 {
    let x = abs(t);
    if (x < 1.0) {
        return (1.5 * x - 2.5) * x * x + 1.0;
    }
    if (x < 2.0) {
        return ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0;
    }
    return 0.0;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = id.y * params.row + id.x;
    if (id.x >= params.row || i >= params.length) {
        return;
    }
    let column = i % params.side;
    @if(!VERTICAL) let line = (i / params.side) % params.max_height;
    @if(!VERTICAL) let b = i / (params.side * params.max_height);
    @if(VERTICAL) let line = (i / params.side) % params.side;
    @if(VERTICAL) let b = i / (params.side * params.side);
    let cut = boxes[b * 2u];
    @if(!VERTICAL) {
        if (line >= u32(cut.w)) {
            return;
        }
    }
    @if(!VERTICAL) let extent = cut.z;
    @if(!VERTICAL) let target_index = column;
    @if(VERTICAL) let extent = cut.w;
    @if(VERTICAL) let target_index = line;

    let scale = extent / f32(params.side);
    let filter_scale = max(scale, 1.0);
    let reach = SUPPORT * filter_scale;
    let centre = (f32(target_index) + 0.5) * scale;
    let first = u32(max(floor(centre - reach + 0.5), 0.0));
    let end = u32(min(floor(centre + reach + 0.5), extent));
    var sum = vec3f();
    var weights = 0.0;
    @if(!VERTICAL) let start = b * params.slot + (u32(cut.y) + line) * sizes[b].x + u32(cut.x);
    @if(VERTICAL) let plane = params.max_height * params.side;
    @if(VERTICAL) let start = b * 3u * plane + select(column, params.side - 1u - column, boxes[b * 2u + 1u].x != 0.0);
    for (var tap = first; tap < end; tap += 1u) {
        let weight = cubic((f32(tap) - centre + 0.5) / filter_scale);
        @if(!VERTICAL) let packed = pixels[start + tap];
        @if(!VERTICAL) let colour = vec3f(vec3u(packed, packed >> 8u, packed >> 16u) & vec3u(255u));
        @if(VERTICAL) let at = start + tap * params.side;
        @if(VERTICAL) let colour = vec3f(lines[at], lines[at + plane], lines[at + 2u * plane]);
        sum += weight * colour;
        weights += weight;
    }
    let value = sum / weights;
    @if(!VERTICAL) {
        let plane = params.max_height * params.side;
        let to = b * 3u * plane + line * params.side + column;
        lines[to] = value.x;
        lines[to + plane] = value.y;
        lines[to + 2u * plane] = value.z;
    }
    @if(VERTICAL) {
        let colour = (clamp(value, vec3f(0.0), vec3f(255.0)) / 255.0 - MEAN) / DEVIATION;
        let area = params.side * params.side;
        let to = b * 3u * area + line * params.side + column;
        image[to] = colour.x;
        image[to + area] = colour.y;
        image[to + 2u * area] = colour.z;
    }
}
