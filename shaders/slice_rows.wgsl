// A range of rows: y[b, i] = x[b, start + i]; with PAD the reverse, y[b, start + i] = x[b, i] and zero elsewhere.
//
// `outer` is the larger tensor [batches, outer, width], `inner` the smaller [batches, inner, width], f32.
// One invocation an element of y.
// conditions: PAD

const WORKGROUP: u32 = 64u;

struct Params {
    length: u32,
    row: u32,
    outer: u32,
    inner: u32,
    start: u32,
    width: u32,
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
    let line = i / params.width;
    let column = i % params.width;
    @if(!PAD) {
        let batch = line / params.inner;
        let source = batch * params.outer + params.start + line % params.inner;
        y[i] = x[source * params.width + column];
    }
    @if(PAD) {
        let batch = line / params.outer;
        let place = line % params.outer;
        var value = 0.0;
        if (place >= params.start && place < params.start + params.inner) {
            value = x[(batch * params.inner + place - params.start) * params.width + column];
        }
        y[i] = value;
    }
}
