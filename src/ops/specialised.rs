//! Kernels that are made for one size.

use std::collections::HashSet;

use super::{attention, matmul};
use crate::gpu::KernelKey;

/// Every kernel for which an op sets module constants: matrix products in every tile of [`super::TILES`], attention for
/// every head size. All other kernels are the linked shaders as they are ([`crate::shaders::all`]).
pub fn specialised() -> Vec<KernelKey> {
    let mut seen = HashSet::new();
    // Tiles may differ and yet name one kernel.
    attention::kernels().into_iter().chain(matmul::kernels()).filter(|key| seen.insert(key.clone())).collect()
}
