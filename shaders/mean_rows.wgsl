// Mean over the rows of each batch element: y[b] = mean of x[b, r] over r; with SPREAD its gradient,
// dx[b, r] = dy[b] / rows.
//
// x, dx [batches, rows, width], y, dy [batches, width], f32, in vectors. An invocation a vector of what is written:
// COLUMNS of LINES batch elements a workgroup, each adding up its rows in order; with SPREAD COLUMNS of LINES rows,
// batch elements along z.
// conditions: SPREAD SCALAR

import package::lib::vector::Vector;
import package::lib::blocks::{COLUMNS, LINES};

// The width counts vectors.
struct Params {
    batches: u32,
    rows: u32,
    width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Vector>;
@group(0) @binding(2) var<storage, read_write> output: array<Vector>;

@compute @workgroup_size(COLUMNS, LINES)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let column = id.x;
    @if(!SPREAD) {
        let batch = id.y;
        if (column >= params.width || batch >= params.batches) {
            return;
        }
        let base = batch * params.rows * params.width + column;
        var sum = Vector(0.0);
        for (var row = 0u; row < params.rows; row += 1u) {
            sum += input[base + row * params.width];
        }
        output[batch * params.width + column] = sum / f32(params.rows);
    }
    @if(SPREAD) {
        let row = id.y;
        if (column >= params.width || row >= params.rows) {
            return;
        }
        let value = input[id.z * params.width + column] / f32(params.rows);
        output[(id.z * params.rows + row) * params.width + column] = value;
    }
}
