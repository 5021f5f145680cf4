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

/// What a range test tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RateFound {
    /// The base learning rate to train with: a third of that at which the smoothed loss was lowest, before it rose.
    Rate(f64),
    /// The loss still fell at the highest rate: what is too high is not known.
    StillFalling,
    /// The loss fell at no rate.
    Nowhere,
}

/// Takes the rate to train with from those that were `tried`, of which the highest was to be `to`.
pub fn suggested_rate(tried: &[Tried], to: f64) -> RateFound {
    let lowest = tried.iter().enumerate().min_by(|a, b| a.1.smooth.total_cmp(&b.1.smooth));
    let (Some(first), Some(last), Some((at, lowest))) = (tried.first(), tried.last(), lowest) else {
        return RateFound::Nowhere;
    };
    if lowest.smooth >= first.smooth {
        return RateFound::Nowhere;
    }
    // Powers are rounded; the rates of a test that ended early lie further apart.
    let went_through = last.blr > to * (1.0 - 1e-9) && last.smooth <= EXPLODED * lowest.smooth;
    match went_through && at + 2 >= tried.len() {
        true => RateFound::StillFalling,
        false => RateFound::Rate(lowest.blr / 3.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suggestion_lies_below_the_lowest_loss() {
        let point = |(blr, smooth): (f64, f64)| Tried { blr, loss: smooth, smooth };
        let curve: Vec<Tried> = [(1e-4, 1.0), (1e-3, 0.9), (1e-2, 0.6), (1e-1, 1.5)].map(point).into();
        let RateFound::Rate(rate) = suggested_rate(&curve, 1e-1) else { panic!("a rate") };
        assert!((rate - 1e-2 / 3.0).abs() < 1e-12);
        assert_eq!(suggested_rate(&curve[..1], 1e-1), RateFound::Nowhere);
        assert_eq!(suggested_rate(&[], 1e-1), RateFound::Nowhere);
    }

    #[test]
    fn no_rate_is_suggested_where_the_loss_still_falls_at_the_highest() {
        let curve = |losses: &[f64]| -> Vec<Tried> {
            let point = |(at, loss): (usize, &f64)| Tried { blr: 10f64.powi(at as i32), loss: *loss, smooth: *loss };
            losses.iter().enumerate().map(point).collect()
        };
        assert_eq!(suggested_rate(&curve(&[1.0, 0.9, 0.6]), 1e2), RateFound::StillFalling);
        // Hardly more than noise.
        assert_eq!(suggested_rate(&curve(&[1.0, 0.9, 0.6, 0.61]), 1e3), RateFound::StillFalling);
        assert_eq!(suggested_rate(&curve(&[1.0, 0.6, 0.7, 0.8]), 1e3), RateFound::Rate(10.0 / 3.0));
        // The next one was no number.
        assert_eq!(suggested_rate(&curve(&[1.0, 0.9, 0.6]), 1e3), RateFound::Rate(100.0 / 3.0));
    }
}
