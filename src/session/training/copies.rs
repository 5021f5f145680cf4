//! When the state of a run is copied to main memory.

use crate::platform;

/// Most of the time that copies may take.
const SHARE: f64 = 0.05;

/// Copies that come by the clock, as often as they do not hold up training.
#[derive(Debug)]
pub struct Copies {
    /// Seconds between them; none are made by themselves without.
    every: Option<f64>,
    /// When the last one was made, at first when the run began, and seconds that it took.
    made_at: f64,
    took: f64,
    /// Its step.
    step: Option<u64>,
}

impl Copies {
    /// Copies `every` so many seconds from now on.
    pub fn new(every: Option<f64>) -> Copies {
        Copies { every, made_at: platform::now_seconds(), took: 0.0, step: None }
    }

    /// Makes them every so many `seconds` from now on.
    pub fn set_every(&mut self, seconds: f64) {
        self.every = Some(seconds);
    }

    /// Whether copies are made without being asked for.
    pub fn are_made(&self) -> bool {
        self.every.is_some()
    }

    /// Whether the next one is due.
    pub fn is_due(&self) -> bool {
        self.every.is_some_and(|every| platform::now_seconds() - self.made_at >= every.max(self.took / SHARE))
    }

    /// Whether the last one is of `step`.
    pub fn is_of(&self, step: u64) -> bool {
        self.step == Some(step)
    }

    /// Takes note of one that took the time since `start`.
    pub fn made(&mut self, start: f64) {
        self.made_at = platform::now_seconds();
        self.took = self.made_at - start;
    }

    /// Takes note that the state after `step` steps was handed out.
    pub fn handed_out(&mut self, step: u64) {
        self.step = Some(step);
    }
}
