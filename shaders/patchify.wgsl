// Pictures to patches, or with BACK patches to pictures: a permutation either way.
//
// image [batch, channels, height, width], patches [batch, patch, side² channels], f32; patches in raster order. Within
// a patch come rows, columns, channels, or with CHANNELS_FIRST channels, rows, columns.
// One invocation a number of the result.
// conditions: BACK CHANNELS_FIRST

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
    let side = params.side;
    let channels = params.channels;
    let columns = params.width / side;
    @if(!BACK) {
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
    @if(BACK) {
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
