// One AdamW step (Loshchilov and Hutter 2019) over a flat shard of weights.
//
// weights, gradients, first, second [length / 4] vec4f; decays: a flag for every BLOCK elements; schedule and norm as in
// `steps`. A gradient that is not finite leaves everything as it was. With HALVES, halves [length / 4] vec4f, in 16 bits,
// is what the weights become, for products. One invocation VECTORS of them, one after the other.
// src/ops/adamw.rs sets VECTORS.
// conditions: HALVES

import package::lib::spread::element;
import package::lib::steps::{Schedule, Norm};

const WORKGROUP: u32 = 256u;
const BLOCK: u32 = 64u;
// Divides BLOCK / 4, so that the vectors of an invocation share a flag.
const VECTORS: u32 = 1u;

struct Params {
    length: u32,
    across: u32,
    beta1: f32,
    beta2: f32,
    eps: f32,
    weight_decay: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> weights: array<vec4f>;
@group(0) @binding(2) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> first: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> second: array<vec4f>;
@group(0) @binding(5) var<storage, read> decays: array<u32>;
@group(0) @binding(6) var<storage, read> schedule: Schedule;
@group(0) @binding(7) var<storage, read> norm: Norm;
@if(HALVES) @group(0) @binding(8) var<storage, read_write> halves: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let begin = (element(id, params.across)) * VECTORS;
    let end = min(begin + VECTORS, params.length / 4u);
    if (id.x >= params.across || begin >= end || norm.finite == 0.0) {
        return;
    }
    let clip = norm.clip;
    let shrink = 1.0 - schedule.rate * select(0.0, params.weight_decay, decays[begin / (BLOCK / 4u)] != 0u);
    let rate = schedule.rate / schedule.first_correction;
    let correction = sqrt(schedule.second_correction);
    for (var i = begin; i < end; i += 1u) {
        let g = gradients[i] * clip;
        let m = params.beta1 * first[i] + (1.0 - params.beta1) * g;
        let v = params.beta2 * second[i] + (1.0 - params.beta2) * g * g;
        let w = weights[i] * shrink - rate * m / (sqrt(v) / correction + params.eps);
        weights[i] = w;
        @if(HALVES) {
            halves[i] = w;
        }
        first[i] = m;
        second[i] = v;
    }
}
