//! The way of work to the device, and its halt while a window's surface is being configured.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Gpu;
use crate::platform;

/// Milliseconds that a submission waits at most: whoever holds it up may be hidden, and draw no more frames.
const MOST_MS: u32 = 500;

/// Whether submissions have to wait, and whether a surface failed to be configured because they did not.
#[derive(Debug, Default)]
pub(super) struct Gate {
    held: AtomicBool,
    stale: AtomicBool,
}

impl Gate {
    /// Whether `error` only tells that a surface met a busy device; its window then tries again.
    pub(super) fn takes(&self, error: &str) -> bool {
        let ours = error.contains("Surface::configure") && error.contains("GPU to come idle");
        if ours {
            self.stale.store(true, Ordering::Release);
        }
        ours
    }
}

impl Gpu {
    /// Submits `commands`.
    pub fn submit(&self, commands: impl IntoIterator<Item = wgpu::CommandBuffer>) -> wgpu::SubmissionIndex {
        let mut waited = 0;
        while self.gate.held.load(Ordering::Acquire) && waited < MOST_MS {
            platform::nap();
            waited += 1;
        }
        // Held meanwhile, so that the last is the last.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.insert(self.queue().submit(commands)).clone()
    }

    /// Holds up submissions, or lets them go on.
    ///
    /// wgpu configures a surface only while nothing is submitted, and training submits all the time.
    pub fn hold(&self, held: bool) {
        self.gate.held.store(held, Ordering::Release);
    }

    /// Whether a surface could not be configured since the last call.
    pub fn take_stale_surface(&self) -> bool {
        self.gate.stale.swap(false, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_surfaces_that_met_a_busy_device_are_forgiven() {
        let gate = Gate::default();
        assert!(!gate.takes("Validation Error: In Surface::configure: invalid surface"));
        assert!(!gate.stale.load(Ordering::Acquire));
        let text = "In Surface::configure\n  Failed to wait for GPU to come idle before reconfiguring the Surface";
        assert!(gate.takes(text));
        assert!(gate.stale.load(Ordering::Acquire));
    }
}
