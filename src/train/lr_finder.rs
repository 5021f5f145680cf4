//! The learning-rate range test (Smith 2017): the rate rises step by step until the loss explodes.

use super::{StepMetrics, TrainError, Trainer};

/// Weight of the past in the smoothed loss.
const SMOOTHING: f64 = 0.9;
/// Times the best loss at which the test ends.
const EXPLODED: f64 = 2.0;

/// A rate that was tried.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Tried {
    /// Base learning rate.
    pub blr: f64,
    /// Loss of the step.
    pub loss: f64,
    /// Smoothed loss.
    pub smooth: f64,
}

/// Trains for at most `steps` steps with base learning rates that rise evenly on a logarithmic scale between `from` and
/// `to`, and ends where the loss explodes. The weights are spoilt by it.
///
/// # Errors
/// Those of training, but for a loss that is no number, which ends the test.
pub async fn try_rates(
    trainer: &mut Trainer,
    [from, to]: [f64; 2],
    steps: usize,
    mut progress: impl FnMut(&Tried),
) -> Result<Vec<Tried>, TrainError> {
    let mut tried: Vec<Tried> = Vec::new();
    let (mut sum, mut weight, mut best) = (0.0, 0.0, f64::INFINITY);
    for step in 0..steps {
        let blr = from * (to / from).powf(step as f64 / steps.saturating_sub(1).max(1) as f64);
        trainer.set_base_learning_rate(blr)?;
        trainer.advance()?;
        let loss = match trainer.collect().await {
            Ok(metrics) => metrics.iter().map(|StepMetrics { loss, .. }| *loss).next_back().unwrap_or_default(),
            Err(TrainError::NotFinite { .. }) => break,
            Err(error) => return Err(error),
        };
        sum = sum * SMOOTHING + loss;
        weight = weight * SMOOTHING + 1.0;
        let smooth = sum / weight;
        best = best.min(smooth);
        let point = Tried { blr, loss, smooth };
        progress(&point);
        tried.push(point);
        if smooth > EXPLODED * best {
            break;
        }
    }
    Ok(tried)
}

/// The base learning rate to train with: a third of that at which the smoothed loss was lowest, before it rose; `None`
/// where it never fell.
pub fn suggested_rate(tried: &[Tried]) -> Option<f64> {
    let first = tried.first()?;
    let lowest = tried.iter().min_by(|a, b| a.smooth.total_cmp(&b.smooth))?;
    (lowest.smooth < first.smooth).then_some(lowest.blr / 3.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suggestion_lies_below_the_lowest_loss() {
        let point = |(blr, smooth): (f64, f64)| Tried { blr, loss: smooth, smooth };
        let curve: Vec<Tried> = [(1e-4, 1.0), (1e-3, 0.9), (1e-2, 0.6), (1e-1, 1.5)].map(point).into();
        let rate = suggested_rate(&curve).expect("a rate");
        assert!((rate - 1e-2 / 3.0).abs() < 1e-12);
        assert_eq!(suggested_rate(&curve[..1]), None);
        assert_eq!(suggested_rate(&[]), None);
    }
}
