//! What steps report, read several steps late.

use super::{Trainer, accepted};
use crate::train::TrainError;

/// What one step reports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepMetrics {
    /// Optimiser step, from 1.
    pub step: u64,
    /// Loss before the step, mean over its micro-batches.
    pub loss: f64,
    /// Learning rate of the step.
    pub lr: f64,
    /// Norm of all gradients before clipping; none where they overflowed and the step was skipped.
    pub grad_norm: Option<f64>,
    /// Scale of the loss, in mixed precision.
    pub loss_scale: Option<f64>,
}

impl Trainer {
    /// Waits for the submitted steps and returns the metrics of those that went well; where one did not, and others
    /// did, the next call fails for it.
    ///
    /// # Errors
    /// What the device refused of them; [`TrainError::NotFinite`] where a loss or norm is not a number: the optimiser has
    /// skipped such steps.
    pub async fn collect(&mut self) -> Result<Vec<StepMetrics>, TrainError> {
        let behind = std::mem::take(&mut self.behind).into_iter().flat_map(|(_, verdicts)| verdicts);
        accepted(&self.gpu, behind.chain(std::mem::take(&mut self.verdicts))).await?;
        if let Some(error) = self.wrong.take() {
            return Err(error);
        }
        let stride = self.recipe.train.accumulate + 4;
        let bytes = (self.pending.len() * stride) as u64 * 4;
        if bytes == 0 {
            return Ok(Vec::new());
        }
        let values: Vec<f32> = self.gpu.read_one("losses", &self.ring.part(0, bytes)).await?;
        let pending = std::mem::take(&mut self.pending);
        let mut metrics = Vec::with_capacity(pending.len());
        for ((step, lr), numbers) in pending.into_iter().zip(values.chunks(stride)) {
            let losses = &numbers[..stride - 4];
            let loss = losses.iter().map(|loss| f64::from(*loss)).sum::<f64>() / losses.len() as f64;
            let norm = &numbers[stride - 4..];
            let mixed = self.recipe.is_mixed();
            // A scale that can fall further is not to blame on the run: the optimiser skips the step.
            let (finite, hopeful) = (norm[2] != 0.0, mixed && norm[3] > 1.0);
            let wrong = [("the loss", !loss.is_finite()), ("the gradient norm", !finite && !hopeful)];
            if let Some((what, _)) = wrong.into_iter().find(|(_, wrong)| *wrong) {
                let checkpoint = "there is no checkpoint".to_owned();
                self.wrong.get_or_insert(TrainError::NotFinite { what, step, checkpoint });
                continue;
            }
            if !finite {
                log::info!("step {step}: gradients overflowed at a loss scale of {}; the step is skipped", norm[3]);
            }
            metrics.push(StepMetrics {
                step,
                loss,
                lr,
                grad_norm: finite.then_some(f64::from(norm[0])),
                loss_scale: mixed.then_some(f64::from(norm[3])),
            });
        }
        match self.wrong.take_if(|_| metrics.is_empty()) {
            Some(error) => Err(error),
            None => Ok(metrics),
        }
    }
}
