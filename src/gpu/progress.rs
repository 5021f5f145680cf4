//! How far the device has come with submitted work.

use super::{Gpu, GpuError};
use crate::platform::{self, Waiter};

/// A place in the queue: everything submitted before it.
pub struct Mark {
    waiter: Waiter,
    submission: wgpu::SubmissionIndex,
}

impl Gpu {
    /// Marks all that is submitted so far.
    pub fn mark(&self) -> Mark {
        let (sender, waiter) = platform::signal();
        let submission = self.submit([]);
        self.queue().on_submitted_work_done(move || sender.notify());
        Mark { waiter, submission }
    }

    /// Resolves when the device has done everything before `mark`.
    ///
    /// # Errors
    /// Those of [`Gpu::check`].
    pub async fn reached(&self, mark: Mark) -> Result<(), GpuError> {
        let wait = wgpu::PollType::Wait { submission_index: Some(mark.submission), timeout: None };
        self.told(mark.waiter, wait).await.map_err(|error| self.failed(error))?;
        self.check()
    }

    /// Resolves when `waiter` is told by a callback of the device, which `wait` lets it reach.
    ///
    /// One poll need not do: what another thread submits meanwhile, frames of the window, may take the callback along,
    /// and nobody may draw another one.
    ///
    /// # Errors
    /// [`GpuError::Device`] where the device cannot be waited for.
    pub(super) async fn told(&self, waiter: Waiter, wait: wgpu::PollType) -> Result<(), GpuError> {
        let poll = |how| self.device().poll(how).map_err(|error| GpuError::Device(format!("waiting failed: {error}")));
        // In a browser polling does nothing and the event loop calls back.
        poll(wait)?;
        while !waiter.is_told() && platform::nap() {
            poll(wgpu::PollType::Poll)?;
        }
        waiter.await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::gpu::GpuOptions;

    #[test]
    fn a_mark_is_reached_where_another_submission_took_its_callback_along() {
        let (reached, told) = mpsc::channel();
        std::thread::spawn(move || {
            pollster::block_on(async {
                let gpu = Gpu::open(&GpuOptions::default()).await.expect("an adapter");
                let from = gpu.buffer("from", 32 << 20).await.expect("a buffer");
                let to = gpu.buffer("to", 32 << 20).await.expect("a buffer");
                let (sender, waiter) = platform::signal();
                let submission = gpu.submit([]);
                for _ in 0..8 {
                    gpu.copy(&from, &to);
                }
                gpu.queue().on_submitted_work_done(move || sender.notify());
                gpu.reached(Mark { waiter, submission }).await.expect("reached");
            });
            reached.send(()).expect("the test waits");
        });
        told.recv_timeout(Duration::from_secs(120)).expect("the mark is reached");
    }
}
