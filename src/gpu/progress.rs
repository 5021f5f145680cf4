//! How far the device has come with submitted work.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;

use super::{Gpu, GpuError};
use crate::platform::{self, Waiter};

/// A place in the queue: everything submitted before it.
pub struct Mark {
    waiter: Waiter,
    submission: wgpu::SubmissionIndex,
}

impl Gpu {
    /// Marks all that is submitted so far, and what was uploaded since.
    pub fn mark(&self) -> Mark {
        let submission = self.submit([]);
        self.mark_at(submission)
    }

    /// Marks all that is submitted so far by [`Gpu::submit`], and submits nothing for it.
    pub fn mark_last(&self) -> Mark {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        last.map_or_else(|| self.mark(), |submission| self.mark_at(submission))
    }

    fn mark_at(&self, submission: wgpu::SubmissionIndex) -> Mark {
        let (sender, waiter) = platform::signal();
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
    /// One poll need not do. A callback belongs to whatever was submitted last, and asking for it submits what is still to
    /// be uploaded: what another thread uploads or draws between a mark and its callback takes the callback along, and
    /// nobody else may ever poll.
    ///
    /// # Errors
    /// [`GpuError::Device`] where the device cannot be waited for.
    pub(super) async fn told(&self, waiter: Waiter, wait: wgpu::PollType) -> Result<(), GpuError> {
        // In a browser polling does nothing and the event loop calls back.
        self.poll(wait)?;
        while !waiter.is_told() && platform::nap() {
            self.poll(wgpu::PollType::Poll)?;
        }
        waiter.await;
        Ok(())
    }

    /// Lets finished work call its callbacks, and waits for as much as `how` says.
    ///
    /// A driver that gives the device up while it is waited for, as after a hang, a reset or a laptop's sleep, makes wgpu
    /// panic there: that is the loss of the device like any other.
    ///
    /// # Errors
    /// [`GpuError::Lost`] then, and [`GpuError::Device`] where the device cannot be waited for.
    pub(super) fn poll(&self, how: wgpu::PollType) -> Result<(), GpuError> {
        // Whatever the panic left half done belongs to a device that is not used again.
        let polled = catch_unwind(AssertUnwindSafe(|| self.device().poll(how)));
        match polled {
            Ok(Ok(_)) => Ok(()),
            // It was refused, which is told elsewhere: there is nothing to wait for but what came before it.
            Ok(Err(wgpu::PollError::WrongSubmissionIndex(..))) => Ok(()),
            Ok(Err(error)) => Err(self.failed(GpuError::Device(format!("waiting failed: {error}")))),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                self.give_up(text.unwrap_or_else(|| "the driver gave it up".to_owned()));
                Err(self.failed(GpuError::Device("waiting failed".to_owned())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::gpu::{GpuOptions, Uploads as _};

    #[test]
    fn a_mark_is_reached_where_an_upload_took_its_callback_along() {
        let (reached, told) = mpsc::channel();
        std::thread::spawn(move || {
            pollster::block_on(async {
                let gpu = Gpu::open(&GpuOptions::default()).await.expect("an adapter");
                let slice = gpu.buffer("pixels", 64 << 20).await.expect("a buffer");
                let pixels = vec![1u32; 16 << 20];
                for _ in 0..4 {
                    // As a thread that draws does, in the middle of `Gpu::mark`.
                    let (sender, waiter) = platform::signal();
                    let submission = gpu.submit([]);
                    gpu.upload(&slice, &pixels);
                    gpu.queue().on_submitted_work_done(move || sender.notify());
                    gpu.reached(Mark { waiter, submission }).await.expect("reached");
                }
            });
            reached.send(()).expect("the test waits");
        });
        told.recv_timeout(Duration::from_secs(120)).expect("the mark is reached");
    }
}
