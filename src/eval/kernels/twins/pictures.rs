//! Pictures: patches, their normalisation, previews, resampling.

use crate::ops::{PANELS, PIXEL_MEAN, PIXEL_STD, PatchOrder};

/// For each number of the patches of pictures `[b, c, h, w]`, in order, its index in the pictures.
pub fn patch_sources([b, c, h, w]: [usize; 4], p: usize, order: PatchOrder) -> Vec<usize> {
    let mut sources = Vec::new();
    for (n, top, left) in (0..b).flat_map(|n| (0..h / p).flat_map(move |r| (0..w / p).map(move |q| (n, r * p, q * p))))
    {
        let mut push = |ch: usize, i: usize, j: usize| sources.push(((n * c + ch) * h + top + i) * w + left + j);
        match order {
            PatchOrder::RowColumnChannel => {
                (0..p * p * c).for_each(|k| push(k % c, k / c / p, k / c % p));
            }
            PatchOrder::ChannelRowColumn => {
                (0..p * p * c).for_each(|k| push(k / (p * p), k / p % p, k % p));
            }
        }
    }
    sources
}

/// Each row of `x [rows, width]` less its mean, over its deviation `sqrt(unbiased variance + 1e-6)`; and both of each
/// row, `[rows, 2]`.
pub fn normalise_patches(x: &[f64], width: usize) -> [Vec<f64>; 2] {
    let (mut y, mut stats) = (Vec::new(), Vec::new());
    for row in x.chunks(width) {
        let mean = row.iter().sum::<f64>() / width as f64;
        let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (width as f64 - 1.0);
        let deviation = (variance + 1e-6).sqrt();
        y.extend(row.iter().map(|v| (v - mean) / deviation));
        stats.extend([mean, deviation]);
    }
    [y, stats]
}

/// Red, green and blue, 0 to 255 and not rounded, of each pixel of the strips `[B, side, PANELS * side]` that show
/// `image [B, 3, side, side]`, `pred [B, L, patch² 3]` and `mask [B, L]`, denormalised by `stats [B * L, 2]` if given.
pub fn preview(
    image: &[f64],
    pred: &[f64],
    mask: &[f64],
    stats: Option<&[f64]>,
    [side, patch]: [usize; 2],
) -> Vec<[f64; 3]> {
    let byte =
        |v: f64, c: usize| -> f64 { (v * f64::from(PIXEL_STD[c]) + f64::from(PIXEL_MEAN[c])).clamp(0.0, 1.0) * 255.0 };
    let batch = image.len() / (3 * side * side);
    let mut strips = vec![[0.0; 3]; batch * side * PANELS * side];
    let sources = patch_sources([batch, 3, side, side], patch, PatchOrder::RowColumnChannel);
    for (k, at) in sources.iter().enumerate() {
        let (x, y, c, b) = (at % side, at / side % side, at / side / side % 3, at / side / side / 3);
        let number = k / (patch * patch * 3);
        let (mean, deviation) = stats.map_or((0.0, 1.0), |stats| (stats[2 * number], stats[2 * number + 1]));
        let (rebuilt, original) = (byte(pred[k] * deviation + mean, c), byte(image[*at], c));
        let hidden = mask[number] == 1.0;
        let panels =
            [if hidden { 128.0 } else { original }, rebuilt, if hidden { rebuilt } else { original }, original];
        for (panel, value) in panels.into_iter().enumerate() {
            strips[((b * side + y) * PANELS + panel) * side + x][c] = value;
        }
    }
    strips
}

/// Errors `[B, L, 2]` of `pred [B, L, patch² 3]`, denormalised by `stats [B * L, 2]` if given, from
/// `image [B, 3, side, side]`: mean squares in normalised units and in colours of 0 to 1.
pub fn patch_error(image: &[f64], pred: &[f64], stats: Option<&[f64]>, [side, patch]: [usize; 2]) -> Vec<f64> {
    let batch = image.len() / (3 * side * side);
    let length = patch * patch * 3;
    let mut errors = vec![0.0; pred.len() / length * 2];
    for (k, at) in patch_sources([batch, 3, side, side], patch, PatchOrder::RowColumnChannel).iter().enumerate() {
        let number = k / length;
        let (mean, deviation) = stats.map_or((0.0, 1.0), |stats| (stats[2 * number], stats[2 * number + 1]));
        let error = pred[k] * deviation + mean - image[*at];
        errors[2 * number] += error * error / length as f64;
        errors[2 * number + 1] += (error * f64::from(PIXEL_STD[k % 3])).powi(2) / length as f64;
    }
    errors
}

/// Taps and weights of each of `to` pixels made of `from`: `precompute_coeffs` of Pillow's `Resample.c`.
fn pillow_taps(from: usize, to: usize) -> Vec<(usize, Vec<f64>)> {
    let bicubic = |x: f64| -> f64 {
        let (x, a) = (x.abs(), -0.5);
        match x {
            _ if x < 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
            _ if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * a,
            _ => 0.0,
        }
    };
    let scale = from as f64 / to as f64;
    let filter_scale = scale.max(1.0);
    let support = 2.0 * filter_scale;
    let taps = |i: usize| {
        let centre = (i as f64 + 0.5) * scale;
        let first = (centre - support + 0.5).max(0.0) as usize;
        let end = ((centre + support + 0.5) as usize).min(from);
        let raw: Vec<f64> = (first..end).map(|x| bicubic((x as f64 - centre + 0.5) / filter_scale)).collect();
        let sum: f64 = raw.iter().sum();
        (first, raw.iter().map(|w| w / sum).collect())
    };
    (0..to).map(taps).collect()
}

/// `[3, side, side]` of the RGBX words `pixels`, rows of `width`: the box `cut` (x, y, width, height, flip, ..)
/// resampled, flipped and normalised.
pub fn resample(width: usize, pixels: &[u32], cut: &[f32; 8], side: usize) -> Vec<f64> {
    let [x, y, w, h] = [cut[0], cut[1], cut[2], cut[3]].map(|v| v as usize);
    let (across, down) = (pillow_taps(w, side), pillow_taps(h, side));
    let mut out = Vec::new();
    for channel in 0..3 {
        let at = |r: usize, c: usize| f64::from(pixels[(y + r) * width + x + c] >> (8 * channel) & 255);
        for (top, vertical) in &down {
            for column in 0..side {
                let (left, horizontal) = &across[if cut[4] == 1.0 { side - 1 - column } else { column }];
                let mut sum = 0.0;
                for (r, v) in vertical.iter().enumerate() {
                    for (c, u) in horizontal.iter().enumerate() {
                        sum += v * u * at(top + r, left + c);
                    }
                }
                let mean = f64::from(PIXEL_MEAN[channel]);
                out.push((sum.clamp(0.0, 255.0) / 255.0 - mean) / f64::from(PIXEL_STD[channel]));
            }
        }
    }
    out
}
