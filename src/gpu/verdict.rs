//! Whether the device took a piece of work, told apart from what others do with it.

use std::pin::Pin;

use super::{Gpu, GpuError};

/// What the device says of a piece of work; in a browser the answer takes its time.
pub struct Verdict([Pin<Box<dyn Future<Output = Option<wgpu::Error>>>>; 2]);

impl Gpu {
    /// Does `work`. What the device refuses of it is told by the verdict alone: [`Gpu::check`] tells whoever asks first,
    /// which may be another one of those that share the device.
    pub fn watched<T>(&self, work: impl FnOnce() -> T) -> (T, Verdict) {
        let outer = self.device().push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let inner = self.device().push_error_scope(wgpu::ErrorFilter::Validation);
        let done = work();
        let inner = Box::pin(inner.pop());
        (done, Verdict([inner, Box::pin(outer.pop())]))
    }

    /// Fails where the device refused something of the work that `verdict` is on, or was lost.
    ///
    /// # Errors
    /// [`GpuError::Device`] or [`GpuError::Lost`].
    pub async fn accepted(&self, verdict: Verdict) -> Result<(), GpuError> {
        for answer in verdict.0 {
            if let Some(error) = answer.await {
                return Err(self.failed(GpuError::Device(error.to_string())));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::{GpuOptions, Uploads as _};

    #[test]
    fn what_is_refused_is_told_to_whose_work_it_is() {
        pollster::block_on(async {
            let gpu = Gpu::open(&GpuOptions::default()).await.expect("an adapter");
            let [gone, there] = [gpu.buffer("gone", 16).await, gpu.buffer("there", 16).await];
            let (gone, there) = (gone.expect("a buffer"), there.expect("a buffer"));
            gone.buffer.destroy();
            let (_, good) = gpu.watched(|| gpu.submit([]));
            let ((), bad) = gpu.watched(|| gpu.copy(&gone, &there));
            gpu.reached(gpu.mark_last()).await.expect("what came before");
            gpu.check().expect("nothing that others did");
            gpu.accepted(good).await.expect("accepted");
            assert!(matches!(gpu.accepted(bad).await, Err(GpuError::Device(_))));
            // Not watched it is for whoever asks, once.
            gpu.upload(&gone, &[0u32; 4]);
            gpu.flush();
            assert!(matches!(gpu.check(), Err(GpuError::Device(_))), "flushing keeps what it meets");
            gpu.check().expect("told once");
        });
    }
}
