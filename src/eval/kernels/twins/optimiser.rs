//! The passes over flat shards.

use crate::ops::{AdamW, DECAY_BLOCK};

/// Weights and moments of one shard.
#[derive(Clone, Debug, PartialEq)]
pub struct AdamWState {
    /// `[length]`.
    pub weights: Vec<f64>,
    /// First moments `[length]`.
    pub first: Vec<f64>,
    /// Second moments `[length]`.
    pub second: Vec<f64>,
}

/// One AdamW step (Loshchilov and Hutter 2019, algorithm 2) at step `t`, counted from 1.
///
/// `gradients [length]` are first multiplied by `clip`; `decays` holds a flag for every [`DECAY_BLOCK`] elements.
pub fn adamw(adamw: &AdamW, state: &mut AdamWState, gradients: &[f64], decays: &[u32], (lr, t, clip): (f64, u64, f64)) {
    let (beta1, beta2) = (f64::from(adamw.beta1), f64::from(adamw.beta2));
    for (i, gradient) in gradients.iter().enumerate() {
        let g = gradient * clip;
        let decay = if decays[i / DECAY_BLOCK] != 0 { f64::from(adamw.weight_decay) } else { 0.0 };
        state.first[i] = beta1 * state.first[i] + (1.0 - beta1) * g;
        state.second[i] = beta2 * state.second[i] + (1.0 - beta2) * g * g;
        let m = state.first[i] / (1.0 - beta1.powf(t as f64));
        let v = state.second[i] / (1.0 - beta2.powf(t as f64));
        state.weights[i] -= lr * (decay * state.weights[i] + m / (v.sqrt() + f64::from(adamw.eps)));
    }
}

/// Exponential average `[length]` after one step, in which the average `before` weighs `past`.
pub fn average(weights: &[f64], before: &[f64], past: f64) -> Vec<f64> {
    weights.iter().zip(before).map(|(weight, before)| past * before + (1.0 - past) * weight).collect()
}

/// L2 norm over all `shards` and the factor that clips it to `max_norm`; zero clips nothing.
pub fn global_norm(shards: &[Vec<f64>], max_norm: f64) -> [f64; 2] {
    let norm = shards.iter().flatten().map(|x| x * x).sum::<f64>().sqrt();
    [norm, if max_norm > 0.0 { (max_norm / (norm + 1e-6)).min(1.0) } else { 1.0 }]
}
