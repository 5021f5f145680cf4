//! What a reconstruction must beat: two guesses that need no learning.
//!
//! Both work on one picture of `side` x `side` pixels, channels first (`[3, side, side]`), in any units, with a grid of
//! square patches of which some are visible.

/// Mean square error over hidden patches of two guesses, in the squared units of the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Baselines {
    /// Every hidden pixel has the mean colour of the visible patches.
    pub mean_colour: f64,
    /// Hidden pixels interpolate the visible ones by inverse squared distance.
    pub interpolation: f64,
}

impl Baselines {
    /// The smaller error.
    pub fn better(&self) -> f64 {
        self.mean_colour.min(self.interpolation)
    }
}

/// Computes both baselines of `image` `[3, side, side]` with `hidden[l]` telling which patches are hidden.
///
/// Both are zero where nothing is hidden. Interpolation weighs every visible pixel by `1 / distance²`.
pub fn baselines(image: &[f32], side: usize, patch: usize, hidden: &[bool]) -> Baselines {
    let grid = side / patch;
    let is_hidden = |x: usize, y: usize| hidden[(y / patch) * grid + x / patch];
    let places = || (0..side * side).map(|i| (i % side, i / side));
    let pixel = |x: usize, y: usize| -> [f64; 3] { [0, 1, 2].map(|c| f64::from(image[(c * side + y) * side + x])) };
    let visible: Vec<(usize, usize, [f64; 3])> =
        places().filter(|(x, y)| !is_hidden(*x, *y)).map(|(x, y)| (x, y, pixel(x, y))).collect();
    let count = side * side - visible.len();
    if count == 0 || visible.is_empty() {
        return Baselines::default();
    }
    let mut mean = [0.0; 3];
    for (_, _, colour) in &visible {
        for c in 0..3 {
            mean[c] += colour[c] / visible.len() as f64;
        }
    }
    let squared = |a: [f64; 3], b: [f64; 3]| (0..3).map(|c| (a[c] - b[c]).powi(2)).sum::<f64>();
    let mut sums = Baselines::default();
    for (x, y) in places().filter(|(x, y)| is_hidden(*x, *y)) {
        let truth = pixel(x, y);
        let (mut guess, mut weights) = ([0.0; 3], 0.0);
        for (vx, vy, colour) in &visible {
            let weight = 1.0 / ((vx.abs_diff(x).pow(2) + vy.abs_diff(y).pow(2)) as f64);
            weights += weight;
            for c in 0..3 {
                guess[c] += weight * colour[c];
            }
        }
        sums.mean_colour += squared(mean, truth);
        sums.interpolation += squared(guess.map(|sum| sum / weights), truth);
    }
    let scale = 1.0 / (3 * count) as f64;
    Baselines { mean_colour: sums.mean_colour * scale, interpolation: sums.interpolation * scale }
}

/// Peak signal-to-noise ratio in dB of a mean square error `mse` of signals that span `range`.
pub fn psnr_db(mse: f64, range: f64) -> f64 {
    10.0 * (range * range / mse.max(f64::MIN_POSITIVE)).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_picture_needs_no_learning() {
        let hidden = [true, false, true, true];
        let flat = baselines(&[0.5; 3 * 64], 8, 4, &hidden);
        assert!(flat.better() < 1e-20 && flat.mean_colour < 1e-20, "{flat:?}");
    }

    #[test]
    fn a_ramp_is_interpolated_better_than_averaged() {
        let image: Vec<f32> = (0..3 * 64).map(|i| (i % 8) as f32).collect();
        let found = baselines(&image, 8, 4, &[true, false, false, true]);
        // The mean is 3.5 everywhere, so its error is the variance of 0..=7.
        assert!((found.mean_colour - 5.25).abs() < 1e-9, "{found:?}");
        assert!(found.interpolation < found.mean_colour, "{found:?}");
        assert_eq!(baselines(&image, 8, 4, &[false; 4]), Baselines::default());
    }

    #[test]
    fn psnr_of_known_errors() {
        assert!((psnr_db(0.01, 1.0) - 20.0).abs() < 1e-12);
    }
}
