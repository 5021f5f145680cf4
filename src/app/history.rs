//! What a run reported so far: curves, and the probes to scrub through.

use std::sync::Arc;

use super::thinned::Thinned;
use crate::gpu::OwnedTexture;
use crate::train::MetricsLine;

/// Points kept of a curve.
const POINTS: usize = 4000;
/// Probes kept.
const PROBES: usize = 64;
/// Most memory of the device for them, bytes.
const PROBE_BYTES: usize = 128 << 20;
/// Weight of the past in smoothed curves.
const SMOOTHING: f64 = 0.95;

/// The curves of one run.
#[derive(Default)]
pub struct History {
    /// Training loss by step.
    pub loss: Thinned<[f64; 2]>,
    /// The same, smoothed.
    pub smooth: Thinned<[f64; 2]>,
    /// Held-out loss by step.
    pub held_out: Thinned<[f64; 2]>,
    /// Learning rate by step.
    pub lr: Thinned<[f64; 2]>,
    /// Norm of gradients by step.
    pub norm: Thinned<[f64; 2]>,
    /// Held-out pictures as they were rebuilt, by step.
    pub probes: Thinned<(u64, Arc<OwnedTexture>)>,
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
            self.loss.push([x, loss], POINTS);
            self.smooth.push([x, self.sum / self.weight], POINTS);
        }
        if let Some(lr) = line.lr {
            self.lr.push([x, lr], POINTS);
        }
        if let Some(norm) = line.grad_norm {
            self.norm.push([x, norm], POINTS);
        }
        self.last = line;
    }

    /// Adds a held-out loss.
    pub fn push_held_out(&mut self, step: u64, loss: f64) {
        self.held_out.push([step as f64, loss], POINTS);
    }

    /// Forgets what came after `step`.
    ///
    /// A run that stands at step 0 begins anew, and measures the untrained model once more.
    pub fn rewind(&mut self, step: u64) {
        if step == 0 {
            *self = History::default();
            return;
        }
        for curve in [&mut self.loss, &mut self.smooth, &mut self.held_out, &mut self.lr, &mut self.norm] {
            curve.cut(|point| point[0] > step as f64);
        }
        self.probes.cut(|probe| probe.0 > step);
        if self.last.step > step {
            self.stand_at(step);
        }
    }

    /// Has what is known of the newest step, and the mean of the past, be those of what is left of the curves.
    fn stand_at(&mut self, step: u64) {
        let newest = |curve: &Thinned<[f64; 2]>| curve.last().map(|point| point[1]);
        let (loss, lr, grad_norm) = (newest(&self.loss), newest(&self.lr), newest(&self.norm));
        self.last = MetricsLine { step, loss, lr, grad_norm, ..MetricsLine::default() };
        // As many steps as there are from the first that was reported, each with its weight.
        let steps = self.loss.first().map_or(0.0, |first| step as f64 + 1.0 - first[0]);
        self.weight = (1.0 - SMOOTHING.powf(steps)) / (1.0 - SMOOTHING);
        self.sum = newest(&self.smooth).unwrap_or(0.0) * self.weight;
    }

    /// Forgets all textures, which lie on a device that is gone.
    pub fn forget_probes(&mut self) {
        self.probes = Thinned::default();
    }

    /// Whether there is nothing to show yet.
    pub fn is_empty(&self) -> bool {
        self.loss.is_empty() && self.probes.is_empty()
    }

    /// Adds probes.
    pub fn push_probe(&mut self, step: u64, texture: Arc<OwnedTexture>) {
        let bytes = texture.width() as usize * texture.height() as usize * 4;
        self.probes.push((step, texture), PROBES.min(PROBE_BYTES / bytes.max(1)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_goes_back_goes_on_as_if_the_later_steps_had_never_been() {
        let line = |step: u64| MetricsLine { step, loss: Some(1.0 / step as f64), ..MetricsLine::default() };
        let mut history = History::of((1..=20).map(line));
        history.push(MetricsLine { step: 21, loss: Some(1e6), ..MetricsLine::default() });
        history.rewind(20);
        assert_eq!(history.last, line(20));
        history.push(line(21));
        let straight = History::of((1..=21).map(line));
        for (went_back, straight) in history.smooth.iter().zip(straight.smooth.iter()) {
            assert!(went_back[0] == straight[0] && (went_back[1] - straight[1]).abs() < 1e-12, "{went_back:?}");
        }
        assert_eq!((history.last, history.smooth.len()), (straight.last, 21));
    }

    #[test]
    fn long_runs_keep_their_shape_in_bounded_memory() {
        let mut history = History::default();
        for step in 1..=50_000 {
            history.push(MetricsLine { step, loss: Some(1.0 / step as f64), ..MetricsLine::default() });
        }
        assert!(history.loss.len() <= POINTS);
        for quarter in 0..4 {
            let part = 12_500.0 * quarter as f64..12_500.0 * (quarter + 1) as f64;
            let points = history.loss.iter().filter(|point| part.contains(&point[0])).count();
            assert!(points > POINTS / 10, "{points} points in quarter {quarter}");
        }
        assert_eq!(history.last.step, 50_000);
    }
}
