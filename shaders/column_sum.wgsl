// Sums over rows: y[strip, c] = sum of x[r, c] over the rows r of the strip, in order.
//
// x [rows, columns], y [strips, columns] f32. One invocation a column of one strip of `strip` rows; a second launch over
// the partial sums finishes, so the order of additions is fixed. With MASKED only rows whose index is at least `limit`
// count: index [rows] u32.
// conditions: MASKED

const WORKGROUP: u32 = 64u;

struct Params {
    rows: u32,
    columns: u32,
    strip: u32,
    limit: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@if(MASKED) @group(0) @binding(3) var<storage, read> index: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
    let column = id.x;
    let first = group.y * params.strip;
    if (column >= params.columns || first >= params.rows) {
        return;
    }
    let end = min(first + params.strip, params.rows);
    var sum = 0.0;
    for (var r = first; r < end; r += 1u) {
        @if(MASKED) {
            if (index[r] < params.limit) {
                continue;
            }
        }
        sum += x[r * params.columns + column];
    }
    y[group.y * params.columns + column] = sum;
}
