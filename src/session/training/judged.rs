//! What was measured on held-out pictures, and whether it still falls.

use super::is_due;
use crate::train::TrainRecipe;

/// Measurements that compare with each other: of the same pictures, with the same share of patches hidden.
#[derive(Debug, Default)]
pub struct Judged {
    /// Step and loss of the last one.
    last: Option<(u64, f64)>,
    /// Smallest loss of those that the recipe asks for, and how many of them there were since.
    best: Option<f64>,
    stale: u64,
}

impl Judged {
    /// Takes up the loss after `step` steps; false where that step was measured already.
    ///
    /// Those that come by the clock of steps count towards [`Judged::is_stale`]: others, such as at a stop, would make a run
    /// that was stopped and resumed end earlier than one that was not.
    pub fn take(&mut self, step: u64, loss: f64, train: &TrainRecipe) -> bool {
        if self.last.replace((step, loss)).is_some_and(|(before, _)| before == step) {
            return false;
        }
        if is_due(train.eval_every, step) || is_due(train.preview_every, step) {
            match self.best.is_none_or(|best| loss < best) {
                true => (self.best, self.stale) = (Some(loss), 0),
                false => self.stale += 1,
            }
        }
        true
    }

    /// The loss after `step` steps, if that was the last that was measured.
    pub fn at(&self, step: u64) -> Option<f64> {
        self.last.filter(|(measured, _)| *measured == step).map(|(_, loss)| loss)
    }

    /// Whether the loss has not fallen for as many measurements as the recipe has patience for.
    pub fn is_stale(&self, train: &TrainRecipe) -> bool {
        train.early_stop > 0 && self.stale >= train.early_stop
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Recipe;

    #[test]
    fn measurements_by_the_clock_are_counted_since_the_best() {
        let mut train = Recipe::default().train;
        (train.eval_every, train.preview_every, train.early_stop) = (10, 0, 2);
        let mut judged = Judged::default();
        for (step, loss, stale) in [(10, 0.5, false), (20, 0.6, false), (25, 0.7, false), (30, 0.4, false)] {
            assert!(judged.take(step, loss, &train));
            assert_eq!((judged.at(step), judged.is_stale(&train)), (Some(loss), stale));
        }
        assert!(judged.take(40, 0.4, &train) && !judged.take(40, 0.4, &train) && !judged.is_stale(&train));
        assert!(judged.take(50, 0.41, &train) && judged.is_stale(&train));
        assert_eq!(judged.at(40), None);
        train.early_stop = 0;
        assert!(!judged.is_stale(&train));
    }
}
