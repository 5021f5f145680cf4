//! Masks by rank of noise (He et al. 2021, section 3, "Simple implementation"): no sort, each patch counts.

use super::inputs::Holds::Floats;
use super::inputs::take;
use crate::gpu::KernelKey;
use crate::graph::{Graph, GraphError, Launcher, Op, TensorType, Var};

uniform!(
    /// Uniform of the kernel.
    Params in "mask_rank" { length: u32, across: u32, patches: u32, visible: u32 }
);

/// `noise` f32 `[B, L]` to `ids_restore` u32 `[B, L]`, `ids_keep` u32 `[B, visible]` and `mask` f32 `[B, L]`.
///
/// `ids_restore` is each patch's place in a stable ascending sort of its picture's noise. The first `visible` of that
/// order stay: `ids_keep` lists them in it, not by index. `mask` is 1 where a patch is hidden. Noise must not be NaN.
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
        let [noise] = take(inputs, [("noise", Floats)])?;
        let [b, l] = *noise.shape else { return Err(format!("expected noise [B, L], got {:?}", noise.shape)) };
        if *noise != TensorType::f32(&[b, l]) || !(1..=l).contains(&self.visible) {
            return Err(format!("cannot keep {} patches by noise {:?} {:?}", self.visible, noise.dtype, noise.shape));
        }
        Ok(vec![TensorType::u32(&[b, l]), TensorType::u32(&[b, self.visible]), TensorType::f32(&[b, l])])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let (length, patches) = (launcher.input_type(0).len(), launcher.input_type(0).last());
        let (workgroups, across) = launcher.spread(length, 64);
        let params = Params { length: length as u32, across, patches: patches as u32, visible: self.visible as u32 };
        let args = [launcher.input(0), launcher.output(0), launcher.output(1), launcher.output(2)];
        launcher.call(KernelKey::new("mask_rank"), &params, &args, workgroups)
    }
}

/// `(ids_restore, ids_keep, mask)` of `noise` `[B, L]`; see [`MaskRank`].
pub fn mask_rank(graph: &mut Graph, noise: Var, visible: usize) -> Result<(Var, Var, Var), GraphError> {
    let outputs = graph.add(MaskRank { visible }, &[noise])?;
    Ok((outputs[0], outputs[1], outputs[2]))
}
