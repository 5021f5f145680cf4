//! Pieces of work that keep the device busy for a bounded time each.

use std::collections::VecDeque;

use super::{DispatchList, Gpu, GpuError, Mark, Slices};
use crate::platform;

/// Pieces that may wait on the device: one runs while the next is being encoded.
const IN_FLIGHT: usize = 2;

/// Most dispatches a submission carries, so that no driver watchdog fires on long lists.
pub(super) const MAX_SUBMIT: usize = 256;

/// Chooses how many dispatches go into a submission.
#[derive(Default)]
pub struct Pace {
    /// Seconds a submission may take; 0 for no limit.
    seconds: f64,
    most: usize,
    marks: VecDeque<(Mark, usize)>,
    last: f64,
}

impl Pace {
    /// At most `seconds` a submission; 0 for no limit.
    pub fn set(&mut self, seconds: f64) {
        self.seconds = seconds;
    }

    /// Whether submissions are bounded at all.
    pub fn is_bounded(&self) -> bool {
        self.seconds > 0.0
    }

    /// Most dispatches of the next submission.
    pub fn most(&self) -> usize {
        if self.is_bounded() { self.most.max(1) } else { usize::MAX }
    }

    /// Submits all of `list`, at this pace.
    ///
    /// # Errors
    /// Those of [`Gpu::check`].
    pub async fn run(&mut self, gpu: &Gpu, list: &DispatchList) -> Result<(), GpuError> {
        let mut slices = Slices::default();
        loop {
            let done = list.run_slice(gpu, &mut slices, self.most().min(MAX_SUBMIT));
            self.submitted(gpu).await?;
            if done {
                return Ok(());
            }
            platform::pause().await;
        }
    }

    /// To be called after every submission: waits until the device keeps up, and learns how long it takes.
    pub async fn submitted(&mut self, gpu: &Gpu) -> Result<(), GpuError> {
        if !self.is_bounded() {
            return Ok(());
        }
        self.marks.push_back((gpu.mark(), self.most()));
        while self.marks.len() >= IN_FLIGHT {
            let Some((mark, dispatches)) = self.marks.pop_front() else { break };
            gpu.reached(mark).await?;
            let now = platform::now_seconds();
            let took = (now - self.last).max(1e-6);
            self.last = now;
            // Half way towards what would have fitted, so that one slow op does not rock the pace.
            let fitting = (dispatches as f64 * self.seconds / took).clamp(1.0, 4.0 * dispatches as f64 + 4.0);
            self.most = ((dispatches as f64 + fitting) / 2.0).round().max(1.0) as usize;
        }
        Ok(())
    }
}
