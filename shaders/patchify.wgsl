// Pictures to patches, or with BACK patches to pictures.
//
// image [batch, channels, height, width], patches [batch, rows x columns of patches in raster order, patch² channels], f32.
// A patch lies as rows, columns, channels, or with CHANNELS_FIRST as channels, rows, columns.
// One invocation a number of the result.
// conditions: CHANNELS_FIRST BACK

const WORKGROUP: u32 = 64u;

struct Params {
    length: u32,
    row: u32,
    channels: u32,
    height: u32,
    width: u32,
    side: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = id.y * params.row + id.x;
    if (id.x >= params.row || i >= params.length) {
        return;
    }
    let p = params.side;
    let columns = params.width / p;
    @if(!BACK) {
        let size = p * p * params.channels;
        let within = i % size;
        let number = i / size;
        let patches = columns * (params.height / p);
        let batch = number / patches;
        @if(CHANNELS_FIRST) let at = vec3u(within / (p * p), (within / p) % p, within % p);
        @if(!CHANNELS_FIRST) let at = vec3u(within % params.channels, within / (params.channels * p), (within / params.channels) % p);
        let top = ((number % patches) / columns) * p + at.y;
        let left = ((number % patches) % columns) * p + at.z;
        y[i] = x[((batch * params.channels + at.x) * params.height + top) * params.width + left];
    }
    @if(BACK) {
        let left = i % params.width;
        let top = (i / params.width) % params.height;
        let channel = (i / (params.width * params.height)) % params.channels;
        let batch = i / (params.width * params.height * params.channels);
        let number = (batch * (params.height / p) + top / p) * columns + left / p;
        @if(CHANNELS_FIRST) let within = (channel * p + top % p) * p + left % p;
        @if(!CHANNELS_FIRST) let within = ((top % p) * p + left % p) * params.channels + channel;
        y[i] = x[number * p * p * params.channels + within];
    }
}
