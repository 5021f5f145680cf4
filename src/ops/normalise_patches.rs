//! Per-patch normalisation of targets (`norm_pix_loss`; He et al. 2021, section 3).

use crate::gpu::KernelKey;
use crate::graph::{Graph, GraphError, Launcher, Op, TensorType, Var};

uniform!(
    /// Uniform of the kernel.
    Params in "normalise_patches" { rows: u32, width: u32, groups: u32 }
);

/// `x [.., P]` to `(x - mean) / sqrt(variance + 1e-6)` over each row, and `[rows, 2]` of mean and that root.
///
/// The variance is the unbiased one, as in the reference. Targets need no gradient, so there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NormalisePatches;

impl Op for NormalisePatches {
    fn name(&self) -> &'static str {
        "normalise_patches"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        Ok(vec![inputs[0].clone(), TensorType::f32(&[inputs[0].rows(), 2])])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let (rows, width) = (launcher.input_type(0).rows(), launcher.input_type(0).last());
        let cpu = launcher.caps().cpu;
        let (workgroups, line) = launcher.spread(rows, if cpu { 64 } else { 1 });
        let params = Params { rows: rows as u32, width: width as u32, groups: if cpu { line / 64 } else { line } };
        let key = KernelKey::new("normalise_patches").when("DIRECT", cpu);
        launcher.call(key, &params, &[launcher.input(0), launcher.output(0), launcher.output(1)], workgroups)
    }
}

/// Normalised patches and their `[rows, 2]` mean and deviation.
pub fn normalise_patches(graph: &mut Graph, x: Var) -> Result<(Var, Var), GraphError> {
    let outputs = graph.add(NormalisePatches, &[x])?;
    Ok((outputs[0], outputs[1]))
}
