// Sums over rows: y[strip, c] = sum of x[r, c] over the rows r of the strip.
//
// x [rows, columns], y [strips, columns] f32, in vectors. COLUMNS vectors of one strip of `strip` rows a workgroup, or
// with DIRECT one an invocation; a second launch over the partial sums finishes, so the order of additions is fixed. With
// MASKED only rows whose index is at least `limit` count: index [rows] u32. With PAIR, workgroups from `groups` on do the
// same for second_x [rows, second_columns] and second_y. The workgroups of a strip run over x and y, `across` of them
// along x, strips along z.
// conditions: DIRECT SCALAR MASKED PAIR
// never: MASKED+PAIR | SCALAR+PAIR

import package::lib::columns::{WORKGROUP, COLUMNS, SHARES, AHEAD, shares_sum};
import package::lib::vector::Vector;
import package::lib::spread::element;

// Columns count vectors.
struct Params {
    rows: u32,
    columns: u32,
    strip: u32,
    limit: u32,
    groups: u32,
    second_columns: u32,
    across: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Vector>;
@group(0) @binding(2) var<storage, read_write> y: array<Vector>;
@if(MASKED) @group(0) @binding(3) var<storage, read> index: array<u32>;
@if(PAIR) @group(0) @binding(4) var<storage, read> second_x: array<Vector>;
@if(PAIR) @group(0) @binding(5) var<storage, read_write> second_y: array<Vector>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let along = element(group, params.across);
    @if(PAIR) let second = along >= params.groups;
    @if(PAIR) let columns = select(params.columns, params.second_columns, second);
    @if(PAIR) let place = select(along, along - params.groups, second);
    @if(!PAIR) let columns = params.columns;
    @if(!PAIR) let place = along;
    let own = place * COLUMNS + thread % COLUMNS;
    // Past the last column, all of it but the writing is done once more: barriers are for all.
    let column = min(own, columns - 1u);
    let first = group.z * params.strip;
    let end = min(first + params.strip, params.rows);
    var sum = Vector(0.0);
    for (var start = first + thread / COLUMNS; start < end; start += SHARES * AHEAD) {
        var ahead: array<Vector, AHEAD>;
        @if(MASKED) var counts: array<bool, AHEAD>;
        for (var k = 0u; k < AHEAD; k++) { // unrolled
            let row = min(start + k * SHARES, end - 1u);
            let at = row * columns + column;
            @if(PAIR) {
                if (second) {
                    ahead[k] = second_x[at];
                } else {
                    ahead[k] = x[at];
                }
            }
            @if(!PAIR) {
                ahead[k] = x[at];
            }
            @if(MASKED) {
                counts[k] = index[row] >= params.limit;
            }
        }
        for (var k = 0u; k < AHEAD; k++) { // unrolled
            @if(MASKED) let inside = start + k * SHARES < end && counts[k];
            @if(!MASKED) let inside = start + k * SHARES < end;
            if (inside) {
                sum += ahead[k];
            }
        }
    }
    sum = shares_sum(sum, thread);
    if (thread < COLUMNS && own < columns) {
        let at = group.z * columns + own;
        @if(PAIR) {
            if (second) {
                second_y[at] = sum;
            } else {
                y[at] = sum;
            }
        }
        @if(!PAIR) {
            y[at] = sum;
        }
    }
}
