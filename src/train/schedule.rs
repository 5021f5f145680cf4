//! Learning rate a step: linear warm-up, then a half cosine (He et al. 2021, table 8).

/// The learning rate as a function of the step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Peak.
    pub lr: f64,
    /// What the cosine ends at.
    pub min_lr: f64,
    /// Steps of warm-up; the first step has rate 0, as in the reference.
    pub warmup: u64,
    /// Steps in all.
    pub steps: u64,
}

impl Schedule {
    /// Learning rate of `step`, counted from 0.
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.lr * step as f64 / self.warmup as f64;
        }
        let rest = self.steps.saturating_sub(self.warmup).max(1);
        let progress = ((step - self.warmup) as f64 / rest as f64).min(1.0);
        self.min_lr + (self.lr - self.min_lr) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_reference() {
        // 800 epochs of ten steps, 40 of them warm-up, peak 2.4e-3.
        let schedule = Schedule { lr: 2.4e-3, min_lr: 0.0, warmup: 400, steps: 8000 };
        for (step, want) in [(0, 0.0), (5, 3.0e-5), (200, 1.2e-3), (400, 2.4e-3), (4200, 1.2e-3)] {
            assert!((schedule.at(step) - want).abs() < 1e-9, "step {step}: {}", schedule.at(step));
        }
        assert!(schedule.at(7999) < 1e-9 && schedule.at(9000) < 1e-12);
    }

    #[test]
    fn no_warmup_starts_at_the_peak() {
        let schedule = Schedule { lr: 1.0, min_lr: 0.1, warmup: 0, steps: 10 };
        assert_eq!(schedule.at(0), 1.0);
        assert!((schedule.at(10) - 0.1).abs() < 1e-12);
    }
}
