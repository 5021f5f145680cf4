// The elements of x as they are: buffers of 16-bit floats round what is written to them.
//
// x, y [length] f32, in vectors; a kernel is made of it with one of the two stored in 16 bits. One invocation AHEAD
// vectors, WORKGROUP apart, so that small tensors too have many loads under way.
// conditions: SCALAR

import package::lib::vector::Vector;

const WORKGROUP: u32 = 256u;
const AHEAD: u32 = 4u;

// The length counts vectors; workgroups run over x and y, `groups` of them along x.
struct Params {
    length: u32,
    groups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Vector>;
@group(0) @binding(2) var<storage, read_write> y: array<Vector>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let first = (group.y * params.groups + group.x) * (WORKGROUP * AHEAD) + thread;
    var ahead: array<Vector, AHEAD>;
    for (var k = 0u; k < AHEAD; k++) { // unrolled
        // Past the end, the last is read once more: no load waits for a branch.
        ahead[k] = x[min(first + k * WORKGROUP, params.length - 1u)];
    }
    for (var k = 0u; k < AHEAD; k++) { // unrolled
        if (first + k * WORKGROUP < params.length) {
            y[first + k * WORKGROUP] = ahead[k];
        }
    }
}
