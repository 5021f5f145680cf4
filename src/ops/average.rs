//! Exponential averages of weights over steps.

use super::rows::vectors;
use super::shard::spread;
use crate::gpu::{BufferSlice, DispatchList, Gpu, GpuError, KernelKey};

uniform!(
    /// Uniform of the kernel.
    Params in "average" { length: u32, across: u32 }
);

/// What the average so far weighs at step `t` (from 1) where it decays by `decay`: less in the first steps, so that
/// initial weights are soon forgotten.
pub fn average_weight(decay: f32, t: u64) -> f32 {
    decay.min((1.0 + t as f32) / (10.0 + t as f32))
}

/// Adds to `list` that `average` takes in `weights`; the last of the four numbers in `schedule` is what it weighs.
pub fn push_average(
    gpu: &Gpu,
    list: &mut DispatchList,
    weights: &BufferSlice,
    average: &BufferSlice,
    schedule: &BufferSlice,
) -> Result<(), GpuError> {
    let (length, scalar) = vectors((weights.bytes / 4) as usize);
    let (workgroups, across) = spread(gpu, length, 256);
    let params = Params { length: length as u32, across };
    let buffers = [(1, weights.clone()), (2, average.clone()), (3, schedule.clone())];
    let key = KernelKey::new("average").when("SCALAR", scalar);
    list.push(gpu, "average", &key, bytemuck::bytes_of(&params), &buffers, workgroups)
}

#[cfg(test)]
mod tests {
    use super::average_weight;

    #[test]
    fn initial_weights_are_soon_forgotten_and_no_more_is_kept_than_asked_for() {
        for (decay, step, want) in [(0.999, 1, 2.0 / 11.0), (0.999, 90, 0.91), (0.999, 1_000_000, 0.999), (0.1, 1, 0.1)]
        {
            let weight = average_weight(decay, step);
            assert!((weight - want).abs() < 1e-6, "{decay} at step {step}: {weight}, not {want}");
        }
    }
}
