//! How often the class of a picture is told.

use std::cmp::Ordering;

/// Shares of pictures whose class was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Accuracy {
    /// Whose class came first, 0 to 1.
    pub top1: f64,
    /// Whose class was among the first five, 0 to 1.
    pub top5: f64,
    /// Pictures that were asked about.
    pub pictures: usize,
}

impl Accuracy {
    /// Of the places at which the true classes came, 0 the first.
    pub fn of(places: &[usize]) -> Accuracy {
        let share =
            |most: usize| places.iter().filter(|place| **place < most).count() as f64 / places.len().max(1) as f64;
        Accuracy { top1: share(1), top5: share(5), pictures: places.len() }
    }

    /// Standard error of [`Accuracy::top1`], as far as the choice of pictures goes. With two more pictures told and two
    /// more not (Agresti and Coull 1998), so that none or all of a few are no certainty.
    pub fn standard_error(&self) -> f64 {
        let pictures = self.pictures as f64 + 4.0;
        let share = (self.top1 * self.pictures as f64 + 2.0) / pictures;
        (share * (1.0 - share) / pictures).sqrt()
    }
}

/// The place of `class` among all by `scores`, the highest first; of equal scores the lower class comes first.
pub(super) fn place(scores: &[f32], class: usize) -> usize {
    let own = scores[class];
    let before = |(other, score): (usize, &f32)| match score.total_cmp(&own) {
        Ordering::Greater => true,
        Ordering::Equal => other < class,
        Ordering::Less => false,
    };
    scores.iter().enumerate().filter(|other| before(*other)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_their_error() {
        let accuracy = Accuracy::of(&[0, 0, 0, 4, 5]);
        assert_eq!((accuracy.top1, accuracy.top5, accuracy.pictures), (0.6, 0.8, 5));
        assert!((accuracy.standard_error() - 0.1656).abs() < 1e-3);
        assert!(Accuracy::of(&[0]).standard_error() > 0.2, "one picture is no certainty");
        assert_eq!(Accuracy::of(&[]).top1, 0.0);
    }

    #[test]
    fn places_of_equal_scores_are_settled() {
        let places = |class| place(&[1.0, 3.0, 3.0, -1.0], class);
        assert_eq!([0, 1, 2, 3].map(places), [2, 0, 1, 3]);
    }
}
