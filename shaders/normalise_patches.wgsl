// Targets normalised patch by patch: y = (x - mean) / sqrt(variance + EPS), variance unbiased.
//
// x, y [rows, width], stats [rows, 2] (mean, sqrt(variance + EPS)), f32. One workgroup a row: tree reductions in
// workgroup memory, mean first, then the centred variance. With DIRECT, for processors, one invocation a row.
// conditions: DIRECT

const WORKGROUP: u32 = 64u;
const EPS: f32 = 1.0e-6;

struct Params {
    rows: u32,
    width: u32,
    groups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> stats: array<f32>;

@if(!DIRECT) var<workgroup> partial: array<f32, WORKGROUP>;

@if(!DIRECT)
fn sum_all(value: f32, thread: u32) -> f32 {
    workgroupBarrier();
    partial[thread] = value;
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (thread < half) {
            partial[thread] += partial[thread + half];
        }
    }
    workgroupBarrier();
    return partial[0];
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    @if(!DIRECT) let row = group.y * params.groups + group.x;
    @if(!DIRECT) let first = thread;
    @if(!DIRECT) let stride = WORKGROUP;
    @if(DIRECT) let row = (group.y * params.groups + group.x) * WORKGROUP + thread;
    @if(DIRECT) let first = 0u;
    @if(DIRECT) let stride = 1u;
    if (row >= params.rows) {
        return;
    }
    let base = row * params.width;
    var sum = 0.0;
    for (var i = first; i < params.width; i += stride) {
        sum += x[base + i];
    }
    @if(!DIRECT) let total = sum_all(sum, thread);
    @if(DIRECT) let total = sum;
    let mean = total / f32(params.width);
    var squares = 0.0;
    for (var i = first; i < params.width; i += stride) {
        let d = x[base + i] - mean;
        squares += d * d;
    }
    @if(!DIRECT) let spread = sum_all(squares, thread);
    @if(DIRECT) let spread = squares;
    let deviation = sqrt(spread / f32(max(params.width, 2u) - 1u) + EPS);
    for (var i = first; i < params.width; i += stride) {
        y[base + i] = (x[base + i] - mean) / deviation;
    }
    if (first == 0u) {
        stats[row * 2u] = mean;
        stats[row * 2u + 1u] = deviation;
    }
}
