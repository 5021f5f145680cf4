// L2 norm over all gradients, and the factor that clips it.
//
// With SQUARES: partial[workgroup] = sum of squares of a strip of gradients [length / 4] vec4f; invocations stride over
// the strip, then sum up in workgroup memory; length and strip count vectors. Without (one workgroup): norm, whose
// length is sqrt(sum of partials).
// With SCALED, gradients are those of the loss times scale = scaling.gradient * micro_batches: the norm is that of the
// unscaled ones, the factor undoes the scale as well, and the next scale is half of it where the norm is not finite,
// and twice of it after a while. AdamW's corrections in the schedule then count in t only the steps that were not
// skipped.
// Fixed order throughout, so the same bits every time.
// one of: - | SQUARES | SCALED

import package::lib::rows::{WORKGROUP, workgroup_sums};
@if(!SQUARES) import package::lib::steps::Norm;
@if(SCALED) import package::lib::steps::{Scaling, Schedule};

const EXPONENT: u32 = 0x7f800000u;
// Added to the norm before dividing by it, as PyTorch's clip_grad_norm_ does.
const GUARD: f32 = 1e-6;
// Steps in a row with finite gradients after which the scale grows, and its bounds.
const PATIENCE: f32 = 500.0;
const LEAST: f32 = 1.0;
const MOST: f32 = 16777216.0;

struct Params {
    length: u32,
    strip: u32,
    offset: u32,
    max_norm: f32,
    micro_batches: f32,
    beta1: f32,
    beta2: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@if(SQUARES) @group(0) @binding(1) var<storage, read> gradients: array<vec4f>;
@if(SQUARES) @group(0) @binding(2) var<storage, read_write> partial: array<f32>;
// As bits: what a compiler knows to come from arithmetic it may assume to be no NaN and no infinity.
@if(!SQUARES) @group(0) @binding(1) var<storage, read> partial: array<u32>;
@if(!SQUARES) @group(0) @binding(2) var<storage, read_write> norm: Norm;
@if(SCALED) @group(0) @binding(3) var<storage, read_write> scaling: Scaling;
@if(SCALED) @group(0) @binding(4) var<storage, read_write> schedule: Schedule;

// Whether a number with these bits is a NaN or an infinity.
fn is_lost(bits: u32) -> bool {
    return (bits & EXPONENT) == EXPONENT;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    var sum = 0.0;
    // How many partial sums are not finite.
    var lost = 0.0;
    let end = min(params.length, (group.x + 1u) * params.strip);
    for (var i = group.x * params.strip + thread; i < end; i += WORKGROUP) {
        @if(SQUARES) {
            sum += dot(gradients[i], gradients[i]);
        }
        @if(!SQUARES) {
            sum += bitcast<f32>(partial[i]);
            lost += select(0.0, 1.0, is_lost(partial[i]));
        }
    }
    let sums = workgroup_sums(vec2f(sum, lost), thread);
    let all = sums.x;
    if (thread == 0u) {
        @if(SQUARES) {
            partial[params.offset + group.x] = all;
        }
        @if(!SQUARES) {
            @if(SCALED) let scale = scaling.gradient * params.micro_batches;
            @if(!SCALED) let scale = 1.0;
            let total = sqrt(all) / scale;
            let finite = sums.y == 0.0 && !is_lost(bitcast<u32>(all));
            norm.length = total;
            norm.clip = select(1.0, min(1.0, params.max_norm / (total + GUARD)), params.max_norm > 0.0) / scale;
            norm.finite = select(0.0, 1.0, finite);
            norm.scale = scale;
            @if(SCALED) {
                let steps = select(0.0, scaling.steps + 1.0, finite);
                let grows = steps >= PATIENCE;
                let next = clamp(select(scale * 0.5, select(scale, scale * 2.0, grows), finite), LEAST, MOST);
                scaling.gradient = next / params.micro_batches;
                scaling.steps = select(steps, 0.0, grows);
                let before = vec2f(scaling.first_power, scaling.second_power);
                let powers = select(before, before * vec2f(params.beta1, params.beta2), finite);
                scaling.first_power = powers.x;
                scaling.second_power = powers.y;
                schedule.first_correction = 1.0 - powers.x;
                schedule.second_correction = 1.0 - powers.y;
            }
        }
    }
}
