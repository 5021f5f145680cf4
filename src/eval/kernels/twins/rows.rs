//! Rows of tokens: layer norm, picking and joining rows, the loss.

/// Cosines of row `query` of `x [rows, width]` with each row; 0 for rows of zeros.
pub fn cosine_row(x: &[f64], width: usize, query: usize) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let other = &x[query * width..][..width];
    let cosine = |row: &[f64]| dot(row, other) / (dot(row, row) * dot(other, other)).sqrt().max(1e-20);
    x.chunks(width).map(cosine).collect()
}

/// What [`layer_norm`] computes.
#[derive(Clone, Debug)]
pub struct LayerNormed {
    /// Like `x`.
    pub y: Vec<f64>,
    /// `[rows, 2]`: mean and `1 / sqrt(variance + eps)`.
    pub stats: Vec<f64>,
}

/// Layer normalisation of each row of `x [rows, width]`; `gamma` and `beta` `[width]`.
pub fn layer_norm(x: &[f64], gamma: &[f64], beta: &[f64], eps: f64) -> LayerNormed {
    let n = gamma.len() as f64;
    let (mut y, mut stats) = (Vec::new(), Vec::new());
    for row in x.chunks(gamma.len()) {
        let mean = row.iter().sum::<f64>() / n;
        let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        let scale = 1.0 / (variance + eps).sqrt();
        y.extend(row.iter().enumerate().map(|(i, v)| (v - mean) * scale * gamma[i] + beta[i]));
        stats.extend([mean, scale]);
    }
    LayerNormed { y, stats }
}

/// Gradients of [`layer_norm`] for `x`, `gamma` and `beta`, from its `stats` and the gradient `dy` of its result.
pub fn layer_norm_gradient(x: &[f64], gamma: &[f64], stats: &[f64], dy: &[f64]) -> [Vec<f64>; 3] {
    let width = gamma.len();
    let (mut dx, mut dgamma, mut dbeta) = (Vec::new(), vec![0.0; width], vec![0.0; width]);
    for (row, (x, dy)) in x.chunks(width).zip(dy.chunks(width)).enumerate() {
        let (mean, scale) = (stats[2 * row], stats[2 * row + 1]);
        let h: Vec<f64> = x.iter().map(|v| (v - mean) * scale).collect();
        let g: Vec<f64> = dy.iter().zip(gamma).map(|(d, gamma)| d * gamma).collect();
        let mean_g = g.iter().sum::<f64>() / width as f64;
        let mean_gh = g.iter().zip(&h).map(|(g, h)| g * h).sum::<f64>() / width as f64;
        dx.extend(g.iter().zip(&h).map(|(g, h)| scale * (g - mean_g - h * mean_gh)));
        for i in 0..width {
            dgamma[i] += dy[i] * h[i];
            dbeta[i] += dy[i];
        }
    }
    [dx, dgamma, dbeta]
}

/// `y [B, picked, width]` from `x [batches, rows, width]` by `index [B, picked]`: a row of `x`, or `fill` (zeros without
/// one) where the index is out of range. One batch of `x` serves all.
pub fn gather_rows(
    x: &[f64],
    [batches, rows, width]: [usize; 3],
    index: &[u32],
    picked: usize,
    fill: Option<&[f64]>,
) -> Vec<f64> {
    let mut y = Vec::new();
    for (line, row) in index.iter().map(|row| *row as usize).enumerate() {
        let from = ((line / picked) % batches * rows + row) * width;
        match fill {
            _ if row < rows => y.extend_from_slice(&x[from..from + width]),
            Some(fill) => y.extend_from_slice(fill),
            None => y.extend(std::iter::repeat_n(0.0, width)),
        }
    }
    y
}

/// Rows `start .. start + count` of each batch element of `x [B, rows, width]`.
pub fn slice_rows(x: &[f64], [rows, width]: [usize; 2], start: usize, count: usize) -> Vec<f64> {
    x.chunks(rows * width).flat_map(|x| x[start * width..(start + count) * width].to_vec()).collect()
}

/// `x [B, rows, width]` to `[B, total, width]`, beginning at row `start`, zeros elsewhere.
pub fn pad_rows(x: &[f64], [rows, width]: [usize; 2], start: usize, total: usize) -> Vec<f64> {
    let mut y = Vec::new();
    for x in x.chunks(rows * width) {
        y.extend(std::iter::repeat_n(0.0, start * width));
        y.extend_from_slice(x);
        y.extend(std::iter::repeat_n(0.0, (total - start - rows) * width));
    }
    y
}

/// `a [1 or B, ..]` before `b [B, ..]`, batch element by batch element of `a_len` and `b_len` numbers.
pub fn concat_rows(a: &[f64], a_len: usize, b: &[f64], b_len: usize) -> Vec<f64> {
    a.chunks(a_len).cycle().zip(b.chunks(b_len)).flat_map(|(a, b)| [a, b].concat()).collect()
}

/// What [`masked_mse`] computes.
#[derive(Clone, Debug)]
pub struct MaskedLoss {
    /// Mean over the selected rows; zero where there are none.
    pub loss: f64,
    /// Mean square error of each row.
    pub per_row: Vec<f64>,
    /// Gradient of the loss for the prediction.
    pub slope: Vec<f64>,
}

/// Mean square error of `pred [rows, width]` from `target` over the rows where `mask [rows]` is 1.
pub fn masked_mse(pred: &[f64], target: &[f64], mask: &[f64]) -> MaskedLoss {
    let width = pred.len() / mask.len();
    let square = |(a, b): (&f64, &f64)| (a - b).powi(2);
    let rows = pred.chunks(width).zip(target.chunks(width));
    let per_row: Vec<f64> = rows.map(|(a, b)| a.iter().zip(b).map(square).sum::<f64>() / width as f64).collect();
    let count = mask.iter().sum::<f64>().max(1.0);
    let loss = per_row.iter().zip(mask).map(|(e, m)| e * m).sum::<f64>() / count;
    let slope = |(i, (a, b)): (usize, (&f64, &f64))| 2.0 * (a - b) * mask[i / width] / (width as f64 * count);
    MaskedLoss { loss, per_row, slope: pred.iter().zip(target).enumerate().map(slope).collect() }
}

/// Mean over the rows of each batch element of `x [B, rows, width]`.
pub fn mean_rows(x: &[f64], [rows, width]: [usize; 2]) -> Vec<f64> {
    let mean = |x: &[f64], column: usize| x.iter().skip(column).step_by(width).sum::<f64>() / rows as f64;
    x.chunks(rows * width).flat_map(|x| (0..width).map(move |column| mean(x, column))).collect()
}

/// Cross-entropy of each row of `logits [rows, columns]` with its label, and its gradient for them.
pub fn cross_entropy(logits: &[f64], columns: usize, labels: &[u32]) -> (Vec<f64>, Vec<f64>) {
    let (mut losses, mut slopes) = (Vec::new(), Vec::new());
    for (x, label) in logits.chunks(columns).zip(labels) {
        let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log_sum = largest + x.iter().map(|x| (x - largest).exp()).sum::<f64>().ln();
        losses.push(log_sum - x[*label as usize]);
        slopes.extend(x.iter().map(|x| (x - log_sum).exp()));
        let own = slopes.len() - columns + *label as usize;
        slopes[own] -= 1.0;
    }
    (losses, slopes)
}
