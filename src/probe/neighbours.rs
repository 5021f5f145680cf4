//! Classes by the most similar pictures: no training, no settings to find (Wu et al. 2018, section 3.4).

use std::sync::Arc;

use super::accuracy::place;
use super::{Accuracy, Samples};
use crate::gpu::{Gpu, Uploads};
use crate::graph::{Externals, Graph, Plan, TensorType};
use crate::ops::{self, Form};
use crate::platform;
use crate::train::TrainError;

/// Neighbours that vote.
pub const K: usize = 20;
/// A vote weighs `exp(cosine / TEMPERATURE)`.
const TEMPERATURE: f64 = 0.07;
/// Pictures that are asked about at one time.
const QUERIES: usize = 256;
/// Pictures that these are compared with at one time.
const BANK: usize = 16_384;

/// The nearest so far of one picture: cosine and index, the most similar first, of equals the earlier.
#[derive(Clone, Debug, Default)]
struct Nearest(Vec<(f32, usize)>);

impl Nearest {
    fn offer(&mut self, cosine: f32, index: usize, k: usize) {
        if self.0.len() == k && self.0.last().is_some_and(|(worst, _)| cosine <= *worst) {
            return;
        }
        let at = self.0.partition_point(|(other, _)| *other >= cosine);
        self.0.insert(at, (cosine, index));
        self.0.truncate(k);
    }

    /// The place of `class` among all `classes` by votes, where those that can vote are of the classes `bank`. One without
    /// any vote is told at no place.
    fn place(&self, bank: &[usize], classes: usize, class: usize) -> usize {
        let mut votes = vec![0f64; classes];
        for (cosine, index) in &self.0 {
            // Less the largest cosine there could be, so that nothing overflows.
            votes[bank[*index]] += ((f64::from(*cosine) - 1.0) / TEMPERATURE).exp();
        }
        let votes: Vec<f32> = votes.into_iter().map(|vote| vote as f32).collect();
        if votes[class] > 0.0 { place(&votes, class) } else { usize::MAX }
    }
}

/// Tells the class of each of `queries` by the votes of the `k` of `bank` whose features have the largest cosines with its
/// own, and says how often that is right.
///
/// # Errors
/// The device's.
pub async fn nearest(
    gpu: &Arc<Gpu>,
    bank: &Samples,
    queries: &Samples,
    classes: usize,
    k: usize,
) -> Result<Accuracy, TrainError> {
    let width = bank.features.width;
    let most = BANK.min((gpu.max_binding() / (width as u64 * 4)) as usize);
    let (count, rows) = (queries.classes.len().min(QUERIES), bank.classes.len().min(most));
    if count == 0 || rows == 0 {
        return Ok(Accuracy::default());
    }
    let mut b = Graph::new();
    let q = b.external("queries", TensorType::f32(&[count, width]));
    let others = b.external("bank", TensorType::f32(&[rows, width]));
    let cosines = ops::matmul(&mut b, Form::NT, q, others)?;
    let mut inputs = Externals::new();
    let plan = Plan::build(gpu, &b, &[cosines], &mut inputs).await?;
    let (q, others, cosines) = (inputs.need("queries")?, inputs.need("bank")?, plan.need(cosines)?);

    let mut found = vec![Nearest::default(); queries.classes.len()];
    for start in (0..bank.classes.len()).step_by(rows) {
        // The last are done together with some that were before, which are passed over.
        let from = start.min(bank.classes.len() - rows);
        gpu.upload(others, &bank.features.unit(from, rows));
        for begin in (0..queries.classes.len()).step_by(count) {
            platform::pause().await;
            let first = begin.min(queries.classes.len() - count);
            gpu.upload(q, &queries.features.unit(first, count));
            plan.run(gpu);
            let values: Vec<f32> = gpu.read_one("cosines", cosines).await?;
            for (query, values) in values.chunks(rows).enumerate().skip(begin - first) {
                let nearest = &mut found[first + query];
                for (index, cosine) in values.iter().enumerate().skip(start - from) {
                    nearest.offer(*cosine, from + index, k);
                }
            }
        }
    }
    let asked = found.iter().zip(&queries.classes);
    let places: Vec<usize> = asked.map(|(nearest, class)| nearest.place(&bank.classes, classes, *class)).collect();
    Ok(Accuracy::of(&places))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_are_kept_in_order() {
        let mut nearest = Nearest::default();
        for (index, cosine) in [0.1, 0.5, 0.3, 0.5, 0.9, 0.2].into_iter().enumerate() {
            nearest.offer(cosine, index, 4);
        }
        assert_eq!(nearest.0, [(0.9, 4), (0.5, 1), (0.5, 3), (0.3, 2)]);
    }

    #[test]
    fn a_class_without_votes_is_never_told() {
        // One of class 5, and two of class 3 that are less alike.
        let nearest = Nearest(vec![(0.9, 0), (0.5, 1), (-1.0, 2)]);
        let places = [0, 1, 2, 3, 4, 5].map(|class| nearest.place(&[5, 3, 3], 6, class));
        assert_eq!(places, [usize::MAX, usize::MAX, usize::MAX, 1, usize::MAX, 0]);
        let accuracy = Accuracy::of(&places);
        assert!((accuracy.top5 - 2.0 / 6.0).abs() < 1e-9, "{accuracy:?}");
    }
}
