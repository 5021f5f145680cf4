//! The linear probe: a linear classifier on features that stay as they are (He et al. 2021, appendix A.1).
//!
//! As there, features are standardised (a batch norm without gain and shift) and nothing decays. Other than there, features
//! are those of centred squares, computed once, AdamW takes the place of LARS, and the learning rate is chosen by pictures
//! that are held back from training.

use std::sync::Arc;

use super::{Accuracy, Classifier, Samples};
use crate::data::Sampler;
use crate::gpu::Gpu;
use crate::train::TrainError;

/// Learning rates to choose from.
pub const RATES: [f64; 4] = [3e-4, 1e-3, 3e-3, 1e-2];
/// One of so many training pictures is held back while the rate is chosen.
const HELD_BACK: usize = 10;
/// Fewer of them tell one rate from another by chance.
const LEAST_HELD_BACK: usize = 20;
/// Most samples of a step.
const BATCH: usize = 256;

/// How a probe is trained.
#[derive(Clone, Copy, Debug)]
pub struct LinearOptions {
    /// Passes over the training pictures.
    pub epochs: u64,
    /// Seed of weights and order.
    pub seed: u64,
}

impl Default for LinearOptions {
    /// As many passes as in the paper.
    fn default() -> Self {
        LinearOptions { epochs: 90, seed: 0 }
    }
}

/// What a probe found.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Linear {
    /// Of the pictures that are asked about.
    pub accuracy: Accuracy,
    /// The learning rate that was chosen.
    pub lr: f64,
    /// Loss of the last training step.
    pub train_loss: f64,
}

/// Trains a classifier on `train` and asks it about `test`. `progress` is called with the steps done and those there are.
///
/// # Errors
/// The device's.
pub async fn linear(
    gpu: &Arc<Gpu>,
    train: &Samples,
    test: &Samples,
    classes: usize,
    options: LinearOptions,
    mut progress: impl FnMut(u64, u64),
) -> Result<Linear, TrainError> {
    let LinearOptions { epochs, seed } = options;
    let count = train.classes.len();
    let sizes = [train.features.width, classes, count.clamp(1, BATCH)];
    let standard = train.features.standard();

    // Chosen by a shuffle, so that classes which lie one after the other all have their share.
    let shuffled = Sampler::new(count, seed);
    let order: Vec<usize> = (0..count as u64).map(|place| shuffled.index(place)).collect();
    let (held_back, rest) = order.split_at(count / HELD_BACK);

    let mut whole = Classifier::new(gpu.clone(), sizes, standard.clone(), seed).await?;
    let rates = if held_back.len() < LEAST_HELD_BACK { &[][..] } else { &RATES[..] };
    let steps =
        (rates.len() as u64).saturating_mul(whole.steps(rest.len(), epochs)).saturating_add(whole.steps(count, epochs));
    let mut done = 0;
    let mut step = || {
        done += 1;
        progress(done, steps);
    };
    // Where there are too few pictures to choose by, a rate from the middle.
    let mut best = (f64::NEG_INFINITY, RATES[1]);
    for rate in rates {
        let mut tried = Classifier::new(gpu.clone(), sizes, standard.clone(), seed).await?;
        tried.train(train, rest, epochs, *rate, &mut step).await?;
        let told = tried.accuracy(train, held_back).await?.top1;
        if told > best.0 {
            best = (told, *rate);
        }
    }
    let train_loss = whole.train(train, &order, epochs, best.1, &mut step).await?;
    let all: Vec<usize> = (0..test.classes.len()).collect();
    Ok(Linear { accuracy: whole.accuracy(test, &all).await?, lr: best.1, train_loss })
}
