// Gradients of gamma and beta of layer normalisation, summed over a strip of rows.
//
// x, dy [rows, width], stats [rows, 2] (mean, r), dgamma, dbeta [strips, width], all f32.
// One invocation a column of one strip; rows in order, so the sums have the same bits every time.

const WORKGROUP: u32 = 64u;

struct Params {
    rows: u32,
    width: u32,
    strip: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> stats: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dgamma: array<f32>;
@group(0) @binding(5) var<storage, read_write> dbeta: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
    let column = id.x;
    let first = group.y * params.strip;
    if (column >= params.width || first >= params.rows) {
        return;
    }
    let end = min(first + params.strip, params.rows);
    var sums = vec2f();
    for (var row = first; row < end; row += 1u) {
        let at = row * params.width + column;
        let h = (x[at] - stats[row * 2u]) * stats[row * 2u + 1u];
        sums += vec2f(dy[at] * h, dy[at]);
    }
    let out = group.y * params.width + column;
    dgamma[out] = sums.x;
    dbeta[out] = sums.y;
}
