//! Targets normalised patch by patch (`norm_pix_loss`; He et al. 2021, section 3, "Reconstruction target").

use super::inputs::Holds::Floats;
use super::inputs::take;
use super::rows::{row_groups, vectors};
use crate::gpu::KernelKey;
use crate::graph::{Graph, GraphError, Launcher, Op, TensorType, Var};

uniform!(
    /// Uniform of the kernel.
    Params in "normalise_patches" { rows: u32, width: u32, groups: u32 }
);

/// `x` f32 `[.., P]` to `(x - mean) / deviation` of the same shape, and `stats` f32 `[rows, 2]` (mean, deviation).
///
/// Both are taken over the last axis; deviation is `sqrt(variance + 1e-6)` with the unbiased variance, as in the
/// reference code. `stats` bring predictions back to pixels. Targets need no gradient, so there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NormalisePatches;

impl Op for NormalisePatches {
    fn name(&self) -> &'static str {
        "normalise_patches"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [x] = take(inputs, [("x", Floats)])?;
        if *x != TensorType::f32(&x.shape) || x.last() < 2 {
            return Err(format!("expected f32 rows of at least two numbers, got {:?} {:?}", x.dtype, x.shape));
        }
        Ok(vec![x.clone(), TensorType::f32(&[x.rows(), 2])])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let (rows, width) = (launcher.input_type(0).rows(), launcher.input_type(0).last());
        let direct = launcher.caps().cpu;
        let (workgroups, groups) = row_groups(launcher, rows, direct);
        let (vectors, scalar) = vectors(width);
        let params = Params { rows: rows as u32, width: vectors as u32, groups };
        let key = KernelKey::new("normalise_patches").when("DIRECT", direct).when("SCALAR", scalar);
        launcher.call(key, &params, &[launcher.input(0), launcher.output(0), launcher.output(1)], workgroups)
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        6 * inputs[0].len() as u64
    }
}

/// `x` `[.., P]` normalised over its last axis, and `stats` `[rows, 2]`; see [`NormalisePatches`].
pub fn normalise_patches(graph: &mut Graph, x: Var) -> Result<(Var, Var), GraphError> {
    let outputs = graph.add(NormalisePatches, &[x])?;
    Ok((outputs[0], outputs[1]))
}
