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
        // In a browser polling does nothing and the event loop calls back.
        self.device().poll(wait).map_err(|error| self.failed(GpuError::Device(format!("waiting failed: {error}"))))?;
        mark.waiter.await;
        self.check()
    }
}
