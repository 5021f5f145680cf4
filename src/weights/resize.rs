//! Position tables for other picture sizes.

/// How sharp the bicubic kernel is: PyTorch's.
const SHARPNESS: f64 = -0.75;

/// Weights of the four neighbours of a point at `fraction` between the second and the third.
fn cubic(fraction: f64) -> [f64; 4] {
    let a = SHARPNESS;
    let near = |x: f64| ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    let far = |x: f64| ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a;
    [far(1.0 + fraction), near(fraction), near(1.0 - fraction), far(2.0 - fraction)]
}

/// Neighbours and weights of each of `to` points on a line of `from`, corners not aligned.
fn taps(from: usize, to: usize) -> Vec<[(usize, f64); 4]> {
    let point = |index: usize| {
        let at = (index as f64 + 0.5) * from as f64 / to as f64 - 0.5;
        let first = at.floor();
        let weights = cubic(at - first);
        std::array::from_fn(|tap| {
            let place = (first as i64 + tap as i64 - 1).clamp(0, from as i64 - 1);
            (place as usize, weights[tap])
        })
    };
    (0..to).map(point).collect()
}

/// A position table `[1 + from * from, width]` for a grid of `to` x `to` patches: the class token's row as it is, the
/// others by bicubic interpolation without antialiasing, as fine-tuning code of He et al. does it.
///
/// # Panics
/// Where `table` has another length.
pub fn resize_positions(table: &[f32], width: usize, from: usize, to: usize) -> Vec<f32> {
    assert_eq!(table.len(), (1 + from * from) * width, "a table of {from} x {from} positions");
    let (class, patches) = table.split_at(width);
    let taps = taps(from, to);
    let mut resized = class.to_vec();
    resized.reserve(to * to * width);
    for rows in &taps {
        for columns in &taps {
            for channel in 0..width {
                let mut sum = 0.0;
                for (row, down) in rows {
                    for (column, across) in columns {
                        sum += down * across * f64::from(patches[(row * from + column) * width + channel]);
                    }
                }
                resized.push(sum as f32);
            }
        }
    }
    resized
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fixed table of a grid of 4 x 4, 32 wide.
    fn fixed() -> Vec<f32> {
        let mut table = vec![0.0; 32];
        for (row, column) in (0..16).map(|patch| (patch / 4, patch % 4)) {
            for place in [column, row] {
                let angle = |k: i32| f64::from(place) * 10_000f64.powf(-f64::from(k) / 8.0);
                table.extend((0..8).map(|k| angle(k).sin() as f32));
                table.extend((0..8).map(|k| angle(k).cos() as f32));
            }
        }
        table
    }

    #[test]
    fn as_pytorch_interpolates() {
        let resized = resize_positions(&fixed(), 32, 4, 6);
        assert_eq!(resized.len(), 37 * 32);
        let near = |got: f32, want: f64| assert!((f64::from(got) - want).abs() < 1e-6, "{got} instead of {want}");
        for (got, want) in
            resized[32..].iter().zip([-0.073_044_356_32, -0.026_995_103_55, -0.008_666_095_20, -0.002_744_575_21])
        {
            near(*got, want);
        }
        for (got, want) in resized[36 * 32..].iter().zip([0.074_437_940_46, 0.831_878_217_77, 0.303_927_400_75]) {
            near(*got, want);
        }
        let sum: f64 = resized.iter().map(|x| f64::from(*x)).sum();
        assert!((sum - 574.144_558_961_8).abs() < 1e-3, "{sum}");
    }

    #[test]
    fn the_same_size_changes_nothing() {
        let table = fixed();
        for (got, want) in resize_positions(&table, 32, 4, 4).iter().zip(&table) {
            assert!((got - want).abs() < 1e-6);
        }
    }
}
