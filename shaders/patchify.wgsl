// Pictures to patches, or with BACK patches to pictures: a permutation either way.
//
// image [batch, channels, height, width], patches [batch, patch, side² channels], f32; patches in raster order. Within
// a patch come rows, columns, channels, or with CHANNELS_FIRST channels, rows, columns.
// One invocation four pixels side by side, with CHANNELS_FIRST of one channel, else of all, which are three then; sides
// are multiples of four. With SCALAR, one invocation a number of the result.
// conditions: BACK CHANNELS_FIRST SCALAR

import package::lib::vector::Vector;
import package::lib::spread::element;

const WORKGROUP: u32 = 256u;

// The length counts invocations.
struct Params {
    length: u32,
    across: u32,
    channels: u32,
    height: u32,
    width: u32,
    side: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Vector>;
@group(0) @binding(2) var<storage, read_write> y: array<Vector>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = element(id, params.across);
    if (id.x >= params.across || i >= params.length) {
        return;
    }
    let side = params.side;
    let channels = params.channels;
    let columns = params.width / side;
    @if(!SCALAR) {
        // In the order of the patches: picture and row of patches at once, as pictures lie below one another as far as
        // patches are concerned.
        let row = i / (side / 4u);
        @if(CHANNELS_FIRST) let channel = row / side % channels;
        @if(!CHANNELS_FIRST) let channel = 0u;
        @if(CHANNELS_FIRST) let number = row / side / channels;
        @if(!CHANNELS_FIRST) let number = row / side;
        let line = number / columns * side + row % side;
        let plane = line / params.height * channels + channel;
        let left = number % columns * (side / 4u) + i % (side / 4u);
        let at = (plane * params.height + line % params.height) * (params.width / 4u) + left;
        @if(CHANNELS_FIRST && !BACK) {
            y[i] = x[at];
        }
        @if(CHANNELS_FIRST && BACK) {
            y[at] = x[i];
        }
        @if(!CHANNELS_FIRST) {
            let next = params.height * (params.width / 4u);
            @if(!BACK) {
                let r = x[at];
                let g = x[at + next];
                let b = x[at + 2u * next];
                y[3u * i] = vec4f(r.x, g.x, b.x, r.y);
                y[3u * i + 1u] = vec4f(g.y, b.y, r.z, g.z);
                y[3u * i + 2u] = vec4f(b.z, r.w, g.w, b.w);
            }
            @if(BACK) {
                let p = x[3u * i];
                let q = x[3u * i + 1u];
                let s = x[3u * i + 2u];
                y[at] = vec4f(p.x, p.w, q.z, s.y);
                y[at + next] = vec4f(p.y, q.x, q.w, s.z);
                y[at + 2u * next] = vec4f(p.z, q.y, s.x, s.w);
            }
        }
    }
    @if(SCALAR && !BACK) {
        let within = i % (side * side * channels);
        let number = i / (side * side * channels);
        @if(CHANNELS_FIRST) let at = vec3u(within / (side * side), within / side % side, within % side);
        @if(!CHANNELS_FIRST) let at = vec3u(within % channels, within / (channels * side), within / channels % side);
        // Picture and row of patches at once: pictures lie below one another as far as patches are concerned.
        let line = number / columns * side + at.y;
        let plane = line / params.height * channels + at.x;
        let left = number % columns * side + at.z;
        y[i] = x[(plane * params.height + line % params.height) * params.width + left];
    }
    @if(SCALAR && BACK) {
        let left = i % params.width;
        let top = i / params.width % params.height;
        let plane = i / params.width / params.height;
        let channel = plane % channels;
        let number = (plane / channels * (params.height / side) + top / side) * columns + left / side;
        @if(CHANNELS_FIRST) let within = (channel * side + top % side) * side + left % side;
        @if(!CHANNELS_FIRST) let within = (top % side * side + left % side) * channels + channel;
        y[i] = x[number * side * side * channels + within];
    }
}
