//! Number by number, and sums over rows.

/// Error function by its Maclaurin series or continued fraction: accurate to about 1e-15.
pub fn erf(x: f64) -> f64 {
    let z = x.abs();
    let value = if z < 3.0 {
        let (mut term, mut sum) = (z, z);
        for n in 1..200 {
            term *= -z * z / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    } else {
        let mut fraction = 0.0;
        for n in (1..60).rev() {
            fraction = f64::from(n) / 2.0 / (z + fraction);
        }
        1.0 - (-z * z).exp() / std::f64::consts::PI.sqrt() / (z + fraction)
    };
    value.copysign(x)
}

/// `x Φ(x)`.
pub fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + erf(x / 2f64.sqrt()))
}

/// Derivative of [`gelu`]: `Φ(x) + x φ(x)`.
pub fn gelu_slope(x: f64) -> f64 {
    0.5 * (1.0 + erf(x / 2f64.sqrt())) + x * (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// `a + b`, with `b` repeated to the length of `a`.
pub fn add(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().enumerate().map(|(i, a)| a + b[i % b.len()]).collect()
}

/// Sum of the rows of `x [rows, columns]` for which `counts` holds.
pub fn column_sum(x: &[f64], columns: usize, counts: impl Fn(usize) -> bool) -> Vec<f64> {
    let mut sums = vec![0.0; columns];
    for (_, row) in x.chunks(columns).enumerate().filter(|(index, _)| counts(*index)) {
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
    sums
}
