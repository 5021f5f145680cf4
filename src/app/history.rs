//! What a run reported so far: curves, and the probes to scrub through.

use std::sync::Arc;

use crate::gpu::OwnedTexture;
use crate::train::MetricsLine;

/// Points kept of a curve; beyond them every second one goes.
const POINTS: usize = 4000;
/// Probes kept; beyond them every second one goes.
const PROBES: usize = 64;
/// Weight of the past in smoothed curves.
const SMOOTHING: f64 = 0.95;

/// The curves of one run.
#[derive(Default)]
pub struct History {
    /// Training loss by step.
    pub loss: Vec<[f64; 2]>,
    /// The same, smoothed.
    pub smooth: Vec<[f64; 2]>,
    /// Held-out loss by step.
    pub held_out: Vec<[f64; 2]>,
    /// Learning rate by step.
    pub lr: Vec<[f64; 2]>,
    /// Norm of gradients by step.
    pub norm: Vec<[f64; 2]>,
    /// Held-out pictures as they were rebuilt, by step.
    pub probes: Vec<(u64, Arc<OwnedTexture>)>,
    /// The newest line.
    pub last: MetricsLine,
    sum: f64,
    weight: f64,
}

impl History {
    /// What a run wrote down.
    pub fn of(lines: impl IntoIterator<Item = MetricsLine>) -> History {
        let mut history = History::default();
        for line in lines {
            match line.held_out_loss {
                Some(loss) => history.push_held_out(line.step, loss),
                None => history.push(line),
            }
        }
        history
    }

    /// Adds a line.
    pub fn push(&mut self, line: MetricsLine) {
        let x = line.step as f64;
        if let Some(loss) = line.loss {
            // The mean of the past, weighted: early values count in full, as there is no past yet.
            self.sum = self.sum * SMOOTHING + loss;
            self.weight = self.weight * SMOOTHING + 1.0;
            push(&mut self.loss, [x, loss]);
            push(&mut self.smooth, [x, self.sum / self.weight]);
        }
        if let Some(lr) = line.lr {
            push(&mut self.lr, [x, lr]);
        }
        if let Some(norm) = line.grad_norm {
            push(&mut self.norm, [x, norm]);
        }
        self.last = line;
    }

    /// Adds a held-out loss.
    pub fn push_held_out(&mut self, step: u64, loss: f64) {
        push(&mut self.held_out, [step as f64, loss]);
    }

    /// Forgets what came after `step`, and all textures: they lie on a device that may be gone.
    ///
    /// A run that stands at step 0 begins anew, and measures the untrained model once more.
    pub fn rewind(&mut self, step: u64) {
        if step == 0 {
            *self = History::default();
            return;
        }
        for curve in [&mut self.loss, &mut self.smooth, &mut self.held_out, &mut self.lr, &mut self.norm] {
            curve.retain(|point| point[0] <= step as f64);
        }
        self.probes.clear();
        self.last.step = self.last.step.min(step);
    }

    /// Whether there is nothing to show yet.
    pub fn is_empty(&self) -> bool {
        self.loss.is_empty() && self.probes.is_empty()
    }

    /// Adds probes.
    pub fn push_probe(&mut self, step: u64, texture: Arc<OwnedTexture>) {
        self.probes.push((step, texture));
        if self.probes.len() > PROBES {
            // The first and the newest stay.
            let newest = self.probes.len() - 1;
            let mut index = 0;
            self.probes.retain(|_| {
                index += 1;
                (index - 1) % 2 == 0 || index - 1 == newest
            });
        }
    }
}

fn push(curve: &mut Vec<[f64; 2]>, point: [f64; 2]) {
    curve.push(point);
    if curve.len() > POINTS {
        let mut index = 0;
        curve.retain(|_| {
            index += 1;
            index % 2 == 1
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_keep_their_shape_in_bounded_memory() {
        let mut history = History::default();
        for step in 1..=50_000 {
            history.push(MetricsLine { step, loss: Some(1.0 / step as f64), ..MetricsLine::default() });
        }
        assert!(history.loss.len() <= POINTS && history.loss.len() > POINTS / 4);
        assert_eq!(history.loss[0][0], 1.0);
        assert!(history.loss.windows(2).all(|pair| pair[0][0] < pair[1][0]));
        assert_eq!(history.last.step, 50_000);
    }
}
