// Exponential average of weights over a flat shard: average[i] = past average[i] + (1 - past) weights[i].
//
// weights, average [length] f32, in vectors; `past` of the schedule is the weight of the average so far. One
// invocation a vector.
// conditions: SCALAR

import package::lib::vector::Vector;
import package::lib::spread::element;
import package::lib::steps::Schedule;

const WORKGROUP: u32 = 256u;

// The length counts vectors.
struct Params {
    length: u32,
    across: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<Vector>;
@group(0) @binding(2) var<storage, read_write> average: array<Vector>;
@group(0) @binding(3) var<storage, read> schedule: Schedule;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = element(id, params.across);
    if (id.x < params.across && i < params.length) {
        average[i] += (1.0 - schedule.past) * (weights[i] - average[i]);
    }
}
