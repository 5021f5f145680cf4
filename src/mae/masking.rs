//! Which patches stay visible.

use super::{MaeConfig, MaeError};
use crate::graph::{Graph, TensorType, Var};
use crate::ops::{self, MaskNoise};

/// A mask a picture, in the three forms that a model needs.
#[derive(Clone, Copy, Debug)]
pub struct Masks {
    /// Visible patches in shuffled order `[B, K]` u32.
    pub ids_keep: Var,
    /// Place of each patch in the shuffled order `[B, L]` u32; visible ones are below `K`.
    pub ids_restore: Var,
    /// 1 where hidden, 0 where visible `[B, L]`.
    pub mask: Var,
}

/// Masks from given noise `[B, L]`: the patches with the smallest noise stay visible.
///
/// # Errors
/// Noise of another shape.
pub fn given_masks(graph: &mut Graph, config: &MaeConfig, noise: Var) -> Result<Masks, MaeError> {
    let (ids_restore, ids_keep, mask) = ops::mask_rank(graph, noise, config.visible())?;
    Ok(Masks { ids_keep, ids_restore, mask })
}

/// Noise `[B, L]` that leaves the patches of each of `batch` pictures in raster order: it rises.
pub fn raster_noise(batch: usize, patches: usize) -> Vec<f32> {
    (0..batch * patches).map(|at| (at % patches) as f32 / patches as f32).collect()
}

/// Masks drawn on the device by the configured strategy; `step` is the random counter, u32 `[4]`.
///
/// # Errors
/// A step of another shape or type.
pub fn random_masks(graph: &mut Graph, config: &MaeConfig, batch: usize, step: Var) -> Result<Masks, MaeError> {
    debug_assert_eq!(graph.ty(step), &TensorType::u32(&[4]));
    let noise = graph.add1(
        MaskNoise {
            strategy: config.mask_strategy,
            batch,
            grid: config.grid(),
            hidden: config.patches() - config.visible(),
        },
        &[step],
    )?;
    given_masks(graph, config, noise)
}
