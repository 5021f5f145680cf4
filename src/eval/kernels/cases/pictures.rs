//! Patches, their normalisation, previews, resampling.

use super::Case;
use crate::eval::kernels::twins;
use crate::graph::GraphError;
use crate::ops::{self, PANELS, PIXEL_MEAN, PIXEL_STD, PatchOrder, PixelNorm};

pub(super) fn cases() -> Result<Vec<Case>, GraphError> {
    let mut cases = Vec::new();
    for order in [PatchOrder::RowColumnChannel, PatchOrder::ChannelRowColumn] {
        cases.extend([patches([2, 3, 9, 6], 3, order)?, patches([2, 3, 24, 16], 8, order)?]);
        cases.push(patches([2, 2, 8, 12], 4, order)?);
    }
    for shape in [[3, 5, 7], [2, 40, 75], [3, 5, 8], [2, 40, 300]] {
        cases.push(normalised(shape)?);
    }
    cases.extend([preview(false)?, preview(true)?, patch_error(false)?, patch_error(true)?]);
    for side in [1, 16, 31] {
        cases.push(resample(side)?);
    }
    Ok(cases)
}

/// Cut, and put together again.
fn patches(shape: [usize; 4], side: usize, order: PatchOrder) -> Result<Case, GraphError> {
    let [b, c, h, w] = shape;
    let mut case = Case::new(format!("{shape:?} in patches of {side}, {order:?}"), 0.0);
    let pixels = case.random.vec(b * c * h * w);
    let sources = twins::patch_sources(shape, side, order);
    let mut joined = vec![0.0; pixels.len()];
    sources.iter().zip(&pixels).for_each(|(at, x)| joined[*at] = *x);
    let image = case.floats(&shape, &pixels);
    let patches = case.floats(&[b, h * w / (side * side), side * side * c], &pixels);
    let cut = ops::patchify(&mut case.graph, image, side, order)?;
    let whole = ops::unpatchify(&mut case.graph, patches, side, order, [c, h, w])?;
    case.floats_are(cut, &sources.iter().map(|at| pixels[*at]).collect::<Vec<f32>>());
    case.floats_are(whole, &joined);
    Ok(case)
}

fn normalised(shape: [usize; 3]) -> Result<Case, GraphError> {
    let mut case = Case::new(format!("{shape:?}"), 1e-5);
    let (x, exact) = case.noise(&shape, 2.0);
    let (y, stats) = ops::normalise_patches(&mut case.graph, x)?;
    let [want, want_stats] = twins::normalise_patches(&exact, shape[2]);
    case.near(y, want);
    case.near(stats, want_stats);
    Ok(case)
}

/// Colours are whole bytes before they are normalised, so that no rounding of the strip is in doubt.
fn preview(denormalise: bool) -> Result<Case, GraphError> {
    let (batch, side, p) = (2, 15, 5);
    let patches = (side / p) * (side / p);
    let note = if denormalise { ", denormalised" } else { "" };
    let mut case = Case::new(format!("[{batch}, 3, {side}, {side}] in patches of {p}{note}"), 0.0);
    let normal = |byte: usize, c: usize| (byte as f32 / 255.0 - PIXEL_MEAN[c]) / PIXEL_STD[c];
    let random = &mut case.random;
    let image: Vec<f32> =
        (0..batch * 3 * side * side).map(|i| normal(random.below(256), i / (side * side) % 3)).collect();
    let moments: Vec<f32> = (0..batch * patches).flat_map(|_| [random.signed(), 1.5 + random.signed()]).collect();
    let pred: Vec<f32> = (0..batch * patches * p * p * 3)
        .map(|i| {
            let (value, number) = (normal(random.below(256), i % 3), i / (p * p * 3));
            if denormalise { (value - moments[2 * number]) / moments[2 * number + 1] } else { value }
        })
        .collect();
    let mask: Vec<f32> = (0..batch * patches).map(|_| random.below(2) as f32).collect();
    let image_var = case.floats(&[batch, 3, side, side], &image);
    let pred_var = case.floats(&[batch, patches, p * p * 3], &pred);
    let mask_var = case.floats(&[batch, patches], &mask);
    let stats_var = denormalise.then(|| case.floats(&[batch * patches, 2], &moments));
    let strip = ops::preview(&mut case.graph, image_var, pred_var, mask_var, stats_var, p, PixelNorm::default())?;
    let [image, pred, mask, stats] = [&image, &pred, &mask, &moments].map(|x| twins::exact(x));
    let want = twins::preview(&image, &pred, &mask, denormalise.then_some(&stats[..]), [side, p]);
    debug_assert_eq!(want.len(), batch * side * PANELS * side);
    let word = |colour: &[f64; 3]| (0..3).fold(0xff00_0000, |word, c| word | (colour[c].round() as u32) << (8 * c));
    case.words_are(strip, &want.iter().map(word).collect::<Vec<u32>>());
    Ok(case)
}

fn patch_error(denormalise: bool) -> Result<Case, GraphError> {
    let (batch, side, p) = (3, 15, 5);
    let patches = (side / p) * (side / p);
    let note = if denormalise { ", denormalised" } else { "" };
    let mut case = Case::new(format!("[{batch}, 3, {side}, {side}] in patches of {p}{note}"), 1e-5);
    let (image, image_exact) = case.noise(&[batch, 3, side, side], 2.0);
    let (pred, pred_exact) = case.noise(&[batch, patches, p * p * 3], 2.0);
    let stats = denormalise.then(|| case.noise(&[batch * patches, 2], 1.0));
    let errors =
        ops::patch_error(&mut case.graph, image, pred, stats.as_ref().map(|(var, _)| *var), p, PixelNorm::default())?;
    case.near(errors, twins::patch_error(&image_exact, &pred_exact, stats.as_ref().map(|(_, x)| &x[..]), [side, p]));
    Ok(case)
}

fn resample(side: usize) -> Result<Case, GraphError> {
    let sizes = [[40, 33], [16, 16], [7, 5], [61, 20]];
    let cuts = [
        [3.0, 2.0, 30.0, 25.0, 0.0],
        [0.0, 0.0, 16.0, 16.0, 1.0],
        [0.0, 0.0, 7.0, 5.0, 0.0],
        [5.0, 1.0, 56.0, 19.0, 1.0],
    ]
    .map(|[x, y, w, h, flip]| [x, y, w, h, flip, 0.0, 0.0, 0.0]);
    let slot = 40 * 33 + 3;
    let mut case = Case::new(format!("boxes of 4 pictures to side {side}"), 1e-5);
    let words: Vec<u32> = (0..4 * slot).map(|_| case.random.bits()).collect();
    let pixels = case.words(&[4, slot], &words);
    let size_words: Vec<u32> = sizes.iter().flat_map(|[w, h]| [*w, *h, 0, 0]).collect();
    let sizes_var = case.words(&[4, 4], &size_words);
    let boxes = case.floats(&[4, 8], cuts.as_flattened());
    let image = ops::resample(&mut case.graph, pixels, sizes_var, boxes, side, 25, PixelNorm::default())?;
    let pictures = words.chunks(slot).zip(sizes).zip(cuts);
    case.near(
        image,
        pictures.flat_map(|((pixels, [w, _]), cut)| twins::resample(w as usize, pixels, &cut, side)).collect(),
    );
    Ok(case)
}
