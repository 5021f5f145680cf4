//! Masks by rank of noise (He et al. 2021, "Simple implementation"): no sort, each patch counts.

use crate::gpu::KernelKey;
use crate::graph::{Graph, GraphError, Launcher, Op, TensorType, Var};

uniform!(
    /// Uniform of the kernel.
    Params in "mask_rank" { length: u32, row: u32, patches: u32, visible: u32 }
);

/// `noise [B, L]` to `ids_restore [B, L]`, `ids_keep [B, visible]` (u32) and `mask [B, L]`.
///
/// The patches with the smallest noise stay visible, in shuffled order; ties go by index. `mask` is 1 where hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaskRank {
    /// Patches that stay visible, 1 to L.
    pub visible: usize,
}

impl Op for MaskRank {
    fn name(&self) -> &'static str {
        "mask_rank"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        match *inputs[0].shape.as_slice() {
            [b, l] if (1..=l).contains(&self.visible) => {
                Ok(vec![TensorType::u32(&[b, l]), TensorType::u32(&[b, self.visible]), TensorType::f32(&[b, l])])
            }
            _ => Err(format!("cannot keep {} patches by noise of shape {:?}", self.visible, inputs[0].shape)),
        }
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let length = launcher.input_type(0).len();
        let (workgroups, row) = launcher.spread(length, 64);
        let patches = launcher.input_type(0).last() as u32;
        let params = Params { length: length as u32, row, patches, visible: self.visible as u32 };
        let args = [launcher.input(0), launcher.output(0), launcher.output(1), launcher.output(2)];
        launcher.call(KernelKey::new("mask_rank"), &params, &args, workgroups)
    }
}

/// `(ids_restore, ids_keep, mask)` of `noise [B, L]`; see [`MaskRank`].
pub fn mask_rank(graph: &mut Graph, noise: Var, visible: usize) -> Result<(Var, Var, Var), GraphError> {
    let outputs = graph.add(MaskRank { visible }, &[noise])?;
    Ok((outputs[0], outputs[1], outputs[2]))
}
