//! What an adapter can do at most, measured: arithmetic and memory, the scale that other speeds are read on.

use serde::Serialize;

use super::shard::spread;
use crate::gpu::{BufferSlice, DispatchList, Gpu, GpuError, KernelKey, Timestamps};
use crate::platform;

uniform!(
    /// Uniform of the arithmetic kernel.
    FmaParams in "peak_fma" { length: u32, across: u32, rounds: u32 }
);
uniform!(
    /// Uniform of the memory kernel.
    CopyParams in "peak_copy" { length: u32, across: u32 }
);

/// Operations of one invocation of the arithmetic kernel in one round.
const ROUND_FLOPS: u64 = 128;
/// Invocations of the arithmetic kernel: several for each lane of the largest adapters.
const INVOCATIONS: u64 = 1 << 20;
/// Bytes of each buffer of the memory kernel: two do not fit the caches of most adapters.
const COPIED: u64 = 128 << 20;
/// Seconds that a measurement takes at least, so that starting it does not count.
const ENOUGH: f64 = 0.02;
/// Measurements of which the best counts.
const TRIES: usize = 3;
/// Largest amounts of work that are tried: rounds, and copies of the buffer.
const MOST_WORK: [u32; 2] = [1 << 18, 1 << 10];

/// Largest measured speeds of an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Peak {
    /// Arithmetic in f32, 10⁹ operations a second; a fused multiply-add counts as two.
    pub gflops: f64,
    /// Memory, 10⁹ bytes read or written a second.
    pub gbytes_per_s: f64,
}

impl Peak {
    /// Measures the adapter of `gpu`; `None` where there is no clock: no timestamps, and none on the platform.
    ///
    /// Takes a second or so and 256 MiB of device memory meanwhile.
    ///
    /// # Errors
    /// Those of the device.
    pub async fn measure(gpu: &Gpu) -> Result<Option<Peak>, GpuError> {
        let out = gpu.buffer("peak results", INVOCATIONS * 4).await?;
        let arithmetic = best_rate(gpu, &out, MOST_WORK[0], |rounds, list| {
            push_peak_fma(gpu, list, &out, rounds)?;
            Ok(INVOCATIONS * ROUND_FLOPS * u64::from(rounds))
        })
        .await?;
        drop(out);

        let bytes = COPIED.min(gpu.max_binding()) / 16 * 16;
        let (from, to) = (gpu.buffer("peak source", bytes).await?, gpu.buffer("peak copy", bytes).await?);
        let memory = best_rate(gpu, &to, MOST_WORK[1], |copies, list| {
            for _ in 0..copies {
                push_peak_copy(gpu, list, &from, &to)?;
            }
            Ok(2 * bytes * u64::from(copies))
        })
        .await?;
        Ok(arithmetic.zip(memory).map(|(flops, bytes)| Peak { gflops: flops * 1e-9, gbytes_per_s: bytes * 1e-9 }))
    }
}

/// Adds the arithmetic kernel to `list`: `rounds` rounds for each f32 of `out`.
pub fn push_peak_fma(gpu: &Gpu, list: &mut DispatchList, out: &BufferSlice, rounds: u32) -> Result<(), GpuError> {
    let length = (out.bytes / 4) as usize;
    let (workgroups, across) = spread(gpu, length, 64);
    let params = FmaParams { length: length as u32, across, rounds };
    let buffers = [(1, out.clone())];
    list.push(gpu, "peak_fma", &KernelKey::new("peak_fma"), bytemuck::bytes_of(&params), &buffers, workgroups)
}

/// Adds the memory kernel to `list`: a copy of `from` to `to`, of equal lengths that are multiples of 16 bytes.
pub fn push_peak_copy(
    gpu: &Gpu,
    list: &mut DispatchList,
    from: &BufferSlice,
    to: &BufferSlice,
) -> Result<(), GpuError> {
    let length = (from.bytes.min(to.bytes) / 16) as usize;
    let (workgroups, across) = spread(gpu, length, 256);
    let params = CopyParams { length: length as u32, across };
    let buffers = [(1, from.clone()), (2, to.clone())];
    list.push(gpu, "peak_copy", &KernelKey::new("peak_copy"), bytemuck::bytes_of(&params), &buffers, workgroups)
}

/// The best rate of a kernel, in what `push` counts a second; `push` adds an amount of work to a list and counts it.
///
/// The amount grows up to `most` until it takes long enough. `written` is what the kernel writes.
async fn best_rate(
    gpu: &Gpu,
    written: &BufferSlice,
    most: u32,
    push: impl Fn(u32, &mut DispatchList) -> Result<u64, GpuError>,
) -> Result<Option<f64>, GpuError> {
    let mut work = 1;
    loop {
        let mut list = DispatchList::default();
        let count = push(work, &mut list)?;
        // The first run also compiles, and touches the memory for the first time.
        let Some(mut least) = seconds(gpu, &list, written).await? else { return Ok(None) };
        if least < ENOUGH && work < most {
            let grown = (1.5 * ENOUGH / least.max(1e-9) * f64::from(work)).min(f64::from(work) * 16.0);
            work = (grown.ceil() as u32).clamp(work + 1, most);
            continue;
        }
        for _ in 0..TRIES {
            least = least.min(seconds(gpu, &list, written).await?.unwrap_or(least));
        }
        return Ok((least > 0.0).then(|| count as f64 / least));
    }
}

/// Seconds that `list` takes on the device, or with starting and waiting where it has no timestamps.
async fn seconds(gpu: &Gpu, list: &DispatchList, written: &BufferSlice) -> Result<Option<f64>, GpuError> {
    if let Some(readings) = Timestamps::measure(gpu, list).await? {
        return Ok(Some(readings.iter().map(|reading| reading.milliseconds * 1e-3).sum()));
    }
    let start = platform::now_seconds();
    list.run(gpu);
    // Reading what was written waits for the work.
    gpu.read("peak", &[written.part(0, 4)]).await?;
    let taken = platform::now_seconds() - start;
    Ok((taken > 0.0).then_some(taken))
}
