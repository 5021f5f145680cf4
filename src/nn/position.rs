//! The fixed two-dimensional sine-cosine position table.

/// Table `[1 + rows * columns, width]` (row-major): a zero row for the class token, then a row a patch in raster order.
///
/// The first half of a row encodes the column and the second half the row of the patch; each half is all sines, then
/// all cosines, at angular frequencies `10000^(-k / (width / 4))` (reference code of He et al. 2021). `width` is a
/// multiple of 4.
pub fn sincos_positions(width: usize, rows: usize, columns: usize) -> Vec<f32> {
    let quarter = width / 4;
    let mut table = vec![0.0; width];
    for row in 0..rows {
        for column in 0..columns {
            for place in [column, row] {
                let angle = |k: usize| place as f64 * 10000f64.powf(-(k as f64) / quarter as f64);
                table.extend((0..quarter).map(|k| angle(k).sin() as f32));
                table.extend((0..quarter).map(|k| angle(k).cos() as f32));
            }
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_reference() {
        let table = sincos_positions(768, 14, 14);
        assert_eq!(table.len(), 197 * 768);
        assert!(table[..768].iter().all(|x| *x == 0.0));
        let row = |r: usize| &table[r * 768..(r + 1) * 768];
        for (got, want) in [
            (row(1)[0], 0.0),
            (row(1)[192], 1.0),
            (row(2)[0], 0.841_470_985),
            (row(2)[1], 0.815_250_65),
            (row(2)[191], 1.049_139_73e-4),
            (row(2)[192], 0.540_302_306),
            (row(2)[384], 0.0),
            (row(15)[0], 0.0),
            (row(15)[384], 0.841_470_985),
            (row(15)[576], 0.540_302_306),
        ] {
            assert!((got - want as f32).abs() < 1e-7, "got {got}, want {want}");
        }
        let sum: f64 = table.iter().map(|x| f64::from(*x)).sum();
        let squares: f64 = table.iter().map(|x| f64::from(*x).powi(2)).sum();
        assert!((sum - 69_594.493_859).abs() < 1e-2, "sum {sum}");
        assert!((squares - 75264.0).abs() < 1e-2, "squares {squares}");
    }
}
