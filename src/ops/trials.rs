//! What is measured to choose between kernels.

use crate::gpu::KernelKey;

/// Launches among which the fastest is to be found: all on the same three tensors, at bindings 1 to 3.
pub(super) struct Trials {
    /// The class of shapes that they stand for.
    pub class: String,
    /// Name of what is taken where none is measured.
    pub usual: String,
    /// Name, kernel and workgroups of each.
    pub launches: Vec<(String, KernelKey, [u32; 3])>,
    /// Their uniform.
    pub params: Vec<u8>,
    /// Numbers in each tensor.
    pub elements: [usize; 3],
    /// Operations of each.
    pub flops: u64,
    /// Whether they sum in different orders, so that the choice changes bits.
    pub alters_bits: bool,
}

impl Trials {
    /// Whether `tile` is one of them, or the usual one.
    pub fn offers(&self, tile: &str) -> bool {
        tile == self.usual || self.launches.iter().any(|(name, ..)| name == tile)
    }
}
