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

/// Patches whose every pixel counts on its own are at most so many pixels away; those further away count as their mean,
/// in their middle, or large pictures would take minutes.
const NEAR: usize = 64;

/// A place and its colour, and how many pixels that is the mean of.
struct Spot {
    x: f64,
    y: f64,
    colour: [f64; 3],
    pixels: f64,
}

/// Computes both baselines of `image` `[3, side, side]` with `hidden[l]` telling which patches are hidden.
///
/// Both are zero where nothing is hidden. Interpolation weighs every visible pixel by `1 / distance²`.
pub fn baselines(image: &[f32], side: usize, patch: usize, hidden: &[bool]) -> Baselines {
    let grid = side / patch;
    let pixels_of = |number: usize| -> Vec<Spot> {
        let (top, left) = (number / grid * patch, number % grid * patch);
        let places = (top..top + patch).flat_map(|y| (left..left + patch).map(move |x| (x, y)));
        let spot = |(x, y): (usize, usize)| Spot {
            x: x as f64,
            y: y as f64,
            colour: [0, 1, 2].map(|c| f64::from(image[(c * side + y) * side + x])),
            pixels: 1.0,
        };
        places.map(spot).collect()
    };
    let numbers = |wanted: bool| (0..hidden.len()).filter(move |number| hidden[*number] == wanted);
    let visible: Vec<(usize, Vec<Spot>)> = numbers(false).map(|number| (number, pixels_of(number))).collect();
    if visible.is_empty() || visible.len() == hidden.len() {
        return Baselines::default();
    }
    let means: Vec<Spot> = visible.iter().map(|(_, pixels)| mean(pixels)).collect();
    let whole = mean(&means).colour;
    let near = NEAR.div_ceil(patch);
    let is_near = |a: usize, b: usize| (a / grid).abs_diff(b / grid) <= near && (a % grid).abs_diff(b % grid) <= near;

    let squared = |a: [f64; 3], b: [f64; 3]| (0..3).map(|c| (a[c] - b[c]).powi(2)).sum::<f64>();
    let mut sums = Baselines::default();
    for number in numbers(true) {
        let spots: Vec<&Spot> = visible
            .iter()
            .zip(&means)
            .flat_map(|((other, pixels), mean)| match is_near(number, *other) {
                true => pixels.as_slice(),
                false => std::slice::from_ref(mean),
            })
            .collect();
        for Spot { x, y, colour, .. } in pixels_of(number) {
            let (mut guess, mut weights) = ([0.0; 3], 0.0);
            for spot in &spots {
                let weight = spot.pixels / ((spot.x - x).powi(2) + (spot.y - y).powi(2));
                weights += weight;
                guess.iter_mut().zip(spot.colour).for_each(|(guess, colour)| *guess += weight * colour);
            }
            sums.mean_colour += squared(whole, colour);
            sums.interpolation += squared(guess.map(|sum| sum / weights), colour);
        }
    }
    let scale = 1.0 / (3 * (hidden.len() - visible.len()) * patch * patch) as f64;
    Baselines { mean_colour: sums.mean_colour * scale, interpolation: sums.interpolation * scale }
}

/// The middle and the mean colour of `spots`, all of as many pixels.
fn mean(spots: &[Spot]) -> Spot {
    let of = |value: &dyn Fn(&Spot) -> f64| spots.iter().map(value).sum::<f64>() / spots.len() as f64;
    Spot {
        x: of(&|spot| spot.x),
        y: of(&|spot| spot.y),
        colour: [0, 1, 2].map(|c| of(&|spot| spot.colour[c])),
        pixels: spots.iter().map(|spot| spot.pixels).sum(),
    }
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
    fn what_is_far_away_counts_as_its_mean() {
        let (side, patch) = (128, 8);
        let image: Vec<f32> =
            (0..3 * side * side).map(|i| ((i % side) as f32 / 9.0).sin() + (i / side) as f32).collect();
        let hidden: Vec<bool> = (0..256).map(|number| number * 7 % 5 != 0).collect();
        let found = baselines(&image, side, patch, &hidden).interpolation;
        // Every visible pixel on its own.
        let is_hidden = |i: usize| hidden[i / side / patch * (side / patch) + i % side / patch];
        let (mut sum, mut count) = (0.0, 0.0);
        for i in (0..side * side).filter(|i| is_hidden(*i)) {
            let (mut guess, mut weights) = (0.0, 0.0);
            for j in (0..side * side).filter(|j| !is_hidden(*j)) {
                let distance = (i % side).abs_diff(j % side).pow(2) + (i / side).abs_diff(j / side).pow(2);
                weights += 1.0 / distance as f64;
                guess += f64::from(image[j]) / distance as f64;
            }
            sum += (guess / weights - f64::from(image[i])).powi(2);
            count += 1.0;
        }
        let exact = sum / count;
        // All three channels are alike up to a constant, of which no error depends.
        assert!((found / exact - 1.0).abs() < 0.01, "{found} and {exact}");
    }

    #[test]
    fn psnr_of_known_errors() {
        assert!((psnr_db(0.01, 1.0) - 20.0).abs() < 1e-12);
    }
}
