// Maximum and sum of exponentials of a row, for softmax and its logarithm; rows as in `rows`.

@if(!DIRECT) import package::lib::rows::{WORKGROUP, LANES};

// The lowest f32, so that no finite element is below.
const LOWEST: f32 = -3.4028234663852886e38;

@if(!DIRECT) var<workgroup> partial_logs: array<vec2f, WORKGROUP>;

// Maximum (.x) and sum of exp(x - maximum) (.y) of two sets of elements together.
fn merge(a: vec2f, b: vec2f) -> vec2f {
    let larger = max(a.x, b.x);
    return vec2f(larger, a.y * exp(a.x - larger) + b.y * exp(b.x - larger));
}

// The same over the invocations of a row, in a tree, so that the order is fixed; all of a workgroup must call it.
fn merge_row(own: vec2f, thread: u32) -> vec2f {
    @if(!DIRECT) {
        partial_logs[thread] = own;
        for (var half = LANES / 2u; half > 0u; half /= 2u) {
            workgroupBarrier();
            if (thread % LANES < half) {
                partial_logs[thread] = merge(partial_logs[thread], partial_logs[thread + half]);
            }
        }
        workgroupBarrier();
        return partial_logs[thread / LANES * LANES];
    }
    @if(DIRECT) {
        return own;
    }
}
