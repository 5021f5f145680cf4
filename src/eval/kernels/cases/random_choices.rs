//! Crops and masks: the same bits everywhere.

use super::Case;
use crate::eval::kernels::twins::draws;
use crate::graph::GraphError;
use crate::ops::{self, CropMode, MaskNoise, MaskStrategy};

/// Seed, step, stream.
const AT: [u32; 4] = [42, 7, 1, 0];

pub(super) fn cases() -> Result<Vec<Case>, GraphError> {
    let mut cases = Vec::new();
    for (name, mode) in [("random", CropMode::PAPER), ("centre", CropMode::CentreSquare), ("whole", CropMode::Whole)] {
        cases.push(crops(name, mode)?);
    }
    for strategy in MaskStrategy::ALL {
        for (grid, hidden) in [(14, 147), (5, 11)] {
            cases.push(noise(MaskNoise { strategy, batch: 3, grid, hidden })?);
        }
    }
    for (patches, visible) in [(25, 7), (196, 49)] {
        cases.push(ranks(patches, visible)?);
    }
    Ok(cases)
}

fn crops(name: &str, mode: CropMode) -> Result<Case, GraphError> {
    let mut case = Case::new(format!("{name} boxes of 71 pictures"), 0.0);
    let mut sizes: Vec<[u32; 2]> =
        (0..67).map(|_| [1 + case.random.below(700) as u32, 1 + case.random.below(700) as u32]).collect();
    // A tiny one, ones where no try fits, and a long side.
    sizes.extend([[1, 1], [1000, 10], [9, 1200], [65535, 40]]);
    let words: Vec<u32> = sizes.iter().flat_map(|[w, h]| [*w, *h, 0, 0]).collect();
    let (sizes_var, step) = (case.words(&[sizes.len(), 4], &words), case.words(&[4], &AT));
    let boxes = ops::crop_boxes(&mut case.graph, sizes_var, step, mode)?;
    let want = sizes.iter().enumerate().flat_map(|(index, size)| draws::crop_box(mode, *size, AT, index));
    case.floats_are(boxes, &want.collect::<Vec<f32>>());
    Ok(case)
}

fn noise(op: MaskNoise) -> Result<Case, GraphError> {
    let MaskNoise { strategy, batch, grid, hidden } = op;
    let mut case = Case::new(format!("{strategy:?}, {hidden} of {grid} x {grid} in {batch} pictures"), 0.0);
    let at = [AT[0], AT[1], AT[2], 5];
    let step = case.words(&[4], &at);
    let noise = case.graph.add1(op, &[step])?;
    case.floats_are(noise, &draws::mask_noise(&op, at));
    Ok(case)
}

fn ranks(patches: usize, visible: usize) -> Result<Case, GraphError> {
    let mut case = Case::new(format!("{visible} of [3, {patches}]"), 0.0);
    // Few values, so many ties.
    let noise: Vec<f32> = (0..3 * patches).map(|_| case.random.below(patches / 3) as f32 / 7.0).collect();
    let noise_var = case.floats(&[3, patches], &noise);
    let (restore, keep, mask) = ops::mask_rank(&mut case.graph, noise_var, visible)?;
    let want = draws::mask_rank(&noise, patches, visible);
    case.words_are(restore, &want.ids_restore);
    case.words_are(keep, &want.ids_keep);
    case.floats_are(mask, &want.mask);
    if visible < patches {
        let hidden = ops::hidden_rows(&mut case.graph, restore, visible)?;
        let want = draws::hidden_rows(&want.ids_restore, patches, visible);
        case.words_are(hidden.rows, &want.rows);
        case.words_are(hidden.patches, &want.patches);
        case.words_are(hidden.inverse, &want.inverse);
        case.floats_are(hidden.one, &vec![1.0; want.rows.len()]);
    }
    Ok(case)
}
