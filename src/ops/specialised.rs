//! Kernels that are made for one size.

use std::collections::HashSet;

use super::{adamw, attention, layer_norm, matmul};
use crate::gpu::KernelKey;

/// Every kernel for which an op sets module constants: matrix products in every tile of [`super::TILES`], attention for
/// every head size, layer norms for what an invocation holds of a row, AdamW for either kind of adapter. All other
/// kernels are the linked shaders as they are ([`crate::shaders::all`]).
pub fn specialised() -> Vec<KernelKey> {
    let mut seen = HashSet::new();
    // Tiles may differ and yet name one kernel.
    let kernels = [adamw::kernels(), attention::kernels(), layer_norm::kernels(), matmul::kernels()];
    kernels.into_iter().flatten().filter(|key| seen.insert(key.clone())).collect()
}
