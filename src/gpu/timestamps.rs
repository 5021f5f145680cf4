//! Time on the device, a pass a dispatch.

use super::{DispatchList, Gpu, GpuError, MAX_SUBMIT, Work};

/// A list run with a timestamp before and after each dispatch.
#[derive(Debug)]
pub struct Timestamps;

/// What one dispatch took.
#[derive(Clone, Debug)]
pub struct TimestampsReading {
    /// Op it belongs to.
    pub op: &'static str,
    /// Kernel name.
    pub kernel: String,
    /// Shapes and operations.
    pub work: Work,
    /// Bytes of what it binds, as in [`Dispatch`](super::Dispatch).
    pub bytes: u64,
    /// Milliseconds on the device.
    pub milliseconds: f64,
}

impl Timestamps {
    /// Milliseconds of work that are worth measuring at one time, as far as is known before: others wait for the adapter too.
    pub const MOST_AT_ONCE: f64 = 20.0;

    /// Runs `list` and measures each dispatch; `None` where the adapter has no timestamps.
    pub async fn measure(gpu: &Gpu, list: &DispatchList) -> Result<Option<Vec<TimestampsReading>>, GpuError> {
        Timestamps::measure_repeated(gpu, list, 1).await
    }

    /// As [`Timestamps::measure`], with each dispatch made `times` times and their mean as its reading: clocks may be
    /// coarser than what is measured. To be called for as much as takes [`Timestamps::MOST_AT_ONCE`].
    pub async fn measure_repeated(
        gpu: &Gpu,
        list: &DispatchList,
        times: u32,
    ) -> Result<Option<Vec<TimestampsReading>>, GpuError> {
        if !gpu.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Ok(None);
        }
        let mut readings = Vec::with_capacity(list.dispatches.len());
        for part in list.dispatches.chunks(MAX_SUBMIT) {
            let count = part.len() as u32 * 2;
            let set = gpu.device().create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("timestamps"),
                ty: wgpu::QueryType::Timestamp,
                count,
            });
            let resolved = gpu.device().create_buffer(&wgpu::BufferDescriptor {
                label: Some("timestamps"),
                size: u64::from(count) * 8,
                usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            });
            let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            for (index, dispatch) in part.iter().enumerate() {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                    label: Some(&dispatch.kernel.name),
                    timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                        query_set: &set,
                        beginning_of_pass_write_index: Some(index as u32 * 2),
                        end_of_pass_write_index: Some(index as u32 * 2 + 1),
                    }),
                });
                pass.set_pipeline(&dispatch.kernel.pipeline);
                pass.set_bind_group(0, &dispatch.bind_group, &[]);
                let [x, y, z] = dispatch.workgroups;
                (0..times).for_each(|_| pass.dispatch_workgroups(x, y, z));
            }
            encoder.resolve_query_set(&set, 0..count, &resolved, 0);
            gpu.submit([encoder.finish()]);
            let ticks = gpu.read_one("timestamps", &super::BufferSlice::whole(resolved)).await;
            set.destroy();
            let ticks: Vec<u64> = ticks?;
            let period = f64::from(gpu.queue().get_timestamp_period()) * 1e-6;
            readings.extend(part.iter().zip(ticks.chunks(2)).map(|(dispatch, pair)| TimestampsReading {
                op: dispatch.op,
                kernel: dispatch.kernel.name.clone(),
                work: dispatch.work.clone(),
                bytes: dispatch.bytes,
                milliseconds: pair[1].saturating_sub(pair[0]) as f64 * period / f64::from(times),
            }));
        }
        Ok(Some(readings))
    }
}
