// Softmax of each row, y = exp(x - max x) / Σ exp(x - max x), or with GRADIENT dx = y (dy - Σ y dy).
//
// x, y, dy, dx [rows, columns] f32. A workgroup a row: invocations take every WORKGROUP-th element, keep a running
// maximum and sum, and merge them in a tree, so that the order is fixed. With DIRECT, for short rows and processors, an
// invocation a row. Rows run over workgroups in x and y, `span` of them (DIRECT: of invocations) along x.
// conditions: GRADIENT DIRECT

const WORKGROUP: u32 = 64u;
// Below any element that gets weight.
const LOWEST: f32 = -3.0e38;

struct Params {
    rows: u32,
    columns: u32,
    span: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// x, or y with GRADIENT.
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;
@if(GRADIENT) @group(0) @binding(3) var<storage, read> dy: array<f32>;

// Partial sums: .x their maximum (unused with GRADIENT), .y the sum.
@if(!DIRECT) var<workgroup> partial: array<vec2f, WORKGROUP>;

// Maximum and sum of exp(x - maximum) of two sets of elements together.
fn merge(a: vec2f, b: vec2f) -> vec2f {
    @if(GRADIENT) {
        return a + b;
    }
    @if(!GRADIENT) {
        let larger = max(a.x, b.x);
        return vec2f(larger, a.y * exp(a.x - larger) + b.y * exp(b.x - larger));
    }
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(local_invocation_index) thread: u32,
    @builtin(global_invocation_id) id: vec3u,
) {
    @if(DIRECT) let row = id.y * params.span + id.x;
    @if(DIRECT) let start = 0u;
    @if(DIRECT) let step = 1u;
    @if(!DIRECT) let row = group.y * params.span + group.x;
    @if(!DIRECT) let start = thread;
    @if(!DIRECT) let step = WORKGROUP;
    if (row >= params.rows) {
        return;
    }
    let base = row * params.columns;
    @if(!GRADIENT) var own = vec2f(LOWEST, 0.0);
    @if(GRADIENT) var own = vec2f();
    for (var c = start; c < params.columns; c += step) {
        @if(!GRADIENT) {
            own = merge(own, vec2f(input[base + c], 1.0));
        }
        @if(GRADIENT) {
            own.y += input[base + c] * dy[base + c];
        }
    }
    @if(DIRECT) let all = own;
    @if(!DIRECT) {
        partial[thread] = own;
        for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
            workgroupBarrier();
            if (thread < half) {
                partial[thread] = merge(partial[thread], partial[thread + half]);
            }
        }
        workgroupBarrier();
    }
    @if(!DIRECT) let all = partial[0];
    for (var c = start; c < params.columns; c += step) {
        let i = base + c;
        @if(!GRADIENT) {
            output[i] = exp(input[i] - all.x) / all.y;
        }
        @if(GRADIENT) {
            output[i] = input[i] * (dy[i] - all.y);
        }
    }
}
