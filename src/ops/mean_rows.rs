//! Mean over the tokens of each batch element, as in pooled features, and over the losses of a batch.

use super::inputs::Holds::Floats;
use super::inputs::take;
use super::rows::{BLOCK_COLUMNS, BLOCK_LINES, batched_groups, vectors};
use crate::gpu::KernelKey;
use crate::graph::{Graph, GraphError, Launcher, Node, Op, TensorType, Var};

uniform!(
    /// Uniform of the kernel.
    Params in "mean_rows" { batches: u32, rows: u32, width: u32 }
);

/// `[B, N, D]` to `[B, D]`, the mean over `N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeanRows;

/// The gradient of [`MeanRows`]: `dy [B, D]` to `dx [B, rows, D]`, `dx = dy / rows` in each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeanRowsGradient {
    /// Rows of `dx`.
    pub rows: usize,
}

/// The uniform for `x [B, N, D]`, and whether its rows are single numbers.
fn params(x: &TensorType) -> (Params, bool) {
    let (width, scalar) = vectors(x.last());
    let batches = x.shape[0];
    (Params { batches: batches as u32, rows: (x.rows() / batches.max(1)) as u32, width: width as u32 }, scalar)
}

impl Op for MeanRows {
    fn name(&self) -> &'static str {
        "mean_rows"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [x] = take(inputs, [("x", Floats)])?;
        match *x.shape.as_slice() {
            [batches, rows, width] if rows > 0 => Ok(vec![TensorType::f32(&[batches, width])]),
            _ => Err(format!("expected [B, N, D] with at least one row, got {:?}", x.shape)),
        }
    }

    fn gradient(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Var>],
        _wants: &[bool],
    ) -> Result<Vec<Option<Var>>, GraphError> {
        let Some(dy) = grads[0] else { return Ok(vec![None]) };
        let rows = graph.shape(node.inputs[0])[1];
        Ok(vec![Some(graph.add1(MeanRowsGradient { rows }, &[dy])?)])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let (params, scalar) = params(launcher.input_type(0));
        let key = KernelKey::new("mean_rows").when("SCALAR", scalar);
        let workgroups = [params.width.div_ceil(BLOCK_COLUMNS as u32), params.batches.div_ceil(BLOCK_LINES as u32), 1];
        launcher.call(key, &params, &[launcher.input(0), launcher.output(0)], workgroups)
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        inputs[0].len() as u64
    }
}

impl Op for MeanRowsGradient {
    fn name(&self) -> &'static str {
        "mean_rows"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [dy] = take(inputs, [("dy", Floats)])?;
        match *dy.shape.as_slice() {
            [batches, width] => Ok(vec![TensorType::f32(&[batches, self.rows, width])]),
            _ => Err(format!("expected [B, D], got {:?}", dy.shape)),
        }
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let (params, scalar) = params(launcher.output_type(0));
        let key = KernelKey::new("mean_rows").when("SPREAD", true).when("SCALAR", scalar);
        let workgroups = batched_groups(launcher.output_type(0));
        launcher.call(key, &params, &[launcher.input(0), launcher.output(0)], workgroups)
    }
}

/// Mean over the rows of each batch element of `x [B, N, D]`.
pub fn mean_rows(graph: &mut Graph, x: Var) -> Result<Var, GraphError> {
    graph.add1(MeanRows, &[x])
}
