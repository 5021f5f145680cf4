//! Principal components of the rows of a small matrix, for looking at.

/// Rounds of the power iteration: far more than colours need.
const ROUNDS: usize = 60;

/// The `count` first principal components of `rows [N, width]`: the centred rows along each, `[count, N]`, scaled to 0 to
/// 1; a component without any variance is 0.5 throughout.
///
/// Directions by power iteration with deflation, from a fixed start, each with the sign that makes its largest entry
/// positive: the same rows always give the same components.
pub fn principal_components(rows: &[f32], width: usize, count: usize) -> Vec<Vec<f32>> {
    let n = rows.len().checked_div(width).unwrap_or(0);
    if n == 0 {
        return vec![Vec::new(); count];
    }
    let mut centred: Vec<f64> = rows.iter().map(|x| f64::from(*x)).collect();
    for column in 0..width {
        let mean = (0..n).map(|row| centred[row * width + column]).sum::<f64>() / n as f64;
        (0..n).for_each(|row| centred[row * width + column] -= mean);
    }
    let mut components = Vec::with_capacity(count);
    for _ in 0..count {
        let scores = first_component(&centred, width);
        let square: f64 = scores.iter().map(|s| s * s).sum();
        if square > 0.0 {
            // What this component explains is taken out before the next is sought.
            let direction = times_transposed(&centred, &scores, width);
            for (row, score) in centred.chunks_mut(width).zip(&scores) {
                row.iter_mut().zip(&direction).for_each(|(x, d)| *x -= score * d / square);
            }
        }
        components.push(to_unit(&scores));
    }
    components
}

/// Turns those of `components` round that run against the same ones of `former`, both 0 to 1: of rows that change little
/// by little the largest entry of a direction, and with it the sign, may be another every time.
pub fn align(components: &mut [Vec<f32>], former: &[Vec<f32>]) {
    for (component, former) in components.iter_mut().zip(former) {
        if component.len() == former.len() && covariance(component, former) < 0.0 {
            component.iter_mut().for_each(|x| *x = 1.0 - *x);
        }
    }
}

/// Sum of the products of what `a` and `b` have above their means.
fn covariance(a: &[f32], b: &[f32]) -> f64 {
    let mean = |x: &[f32]| x.iter().map(|x| f64::from(*x)).sum::<f64>() / x.len().max(1) as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - mean_a) * (f64::from(*b) - mean_b)).sum()
}

/// `Xᵀ s`.
fn times_transposed(x: &[f64], scores: &[f64], width: usize) -> Vec<f64> {
    let mut sum = vec![0.0; width];
    for (row, score) in x.chunks(width).zip(scores) {
        sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += score * x);
    }
    sum
}

/// Rows along the direction of largest variance.
fn first_component(x: &[f64], width: usize) -> Vec<f64> {
    // Any start serves that is not at right angles to the direction; this one has no symmetry.
    let mut direction: Vec<f64> = (0..width).map(|i| 1.0 + (i as f64 * 0.7).sin()).collect();
    let mut scores = vec![0.0; x.len() / width];
    for _ in 0..ROUNDS {
        let norm = direction.iter().map(|d| d * d).sum::<f64>().sqrt();
        if norm < 1e-12 {
            return vec![0.0; scores.len()];
        }
        direction.iter_mut().for_each(|d| *d /= norm);
        for (score, row) in scores.iter_mut().zip(x.chunks(width)) {
            *score = row.iter().zip(&direction).map(|(x, d)| x * d).sum();
        }
        direction = times_transposed(x, &scores, width);
    }
    let largest = direction.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(1.0);
    let sign = largest.signum();
    scores.iter().map(|score| score * sign).collect()
}

fn to_unit(scores: &[f64]) -> Vec<f32> {
    let (low, high) = scores.iter().fold((f64::MAX, f64::MIN), |(low, high), s| (low.min(*s), high.max(*s)));
    let span = high - low;
    scores.iter().map(|s| if span > 1e-12 { ((s - low) / span) as f32 } else { 0.5 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_of_a_stretched_cloud() {
        // Points along (3, 4, 0), a little and independently along (4, -3, 0), and none along the third axis.
        let aside = |i: usize| [0.45, -0.45, -0.45, 0.45][i % 4];
        let points: Vec<f32> = (0..40)
            .flat_map(|i| {
                let (a, b) = (i as f32 - 19.5, aside(i));
                [3.0 * a + 4.0 * b + 5.0, 4.0 * a - 3.0 * b - 2.0, 1.0]
            })
            .collect();
        let components = principal_components(&points, 3, 3);
        for i in 0..40 {
            assert!((components[0][i] - i as f32 / 39.0).abs() < 1e-4, "{:?}", components[0]);
            // Along one direction or the opposite one.
            let above = (components[1][i] > 0.5) == (components[1][0] > 0.5);
            assert_eq!(above, aside(i) > 0.0, "{:?}", components[1]);
            assert_eq!(components[2][i], 0.5);
        }
    }

    #[test]
    fn a_component_keeps_its_direction() {
        let former = vec![vec![0.0, 0.5, 1.0], vec![1.0, 0.0, 0.5], vec![0.5; 3]];
        let mut components = vec![vec![1.0, 0.5, 0.0], vec![1.0, 0.125, 0.5], vec![0.5; 3]];
        align(&mut components, &former);
        assert_eq!(components, [vec![0.0, 0.5, 1.0], vec![1.0, 0.125, 0.5], vec![0.5; 3]]);
    }

    #[test]
    fn rows_all_alike_and_no_rows() {
        assert_eq!(principal_components(&[2.0; 12], 4, 2), vec![vec![0.5; 3]; 2]);
        assert_eq!(principal_components(&[], 4, 2), vec![Vec::<f32>::new(); 2]);
    }
}
