//! A range of tokens of each batch element, and its reverse, padding with zeros.

use super::inputs::Holds::Floats;
use super::inputs::take;
use super::rows::{batched_groups, vectors};
use crate::gpu::KernelKey;
use crate::graph::{Graph, GraphError, Launcher, Node, Op, TensorType, Var};

uniform!(
    /// Uniform of the kernel.
    Params in "slice_rows" { outer: u32, inner: u32, start: u32, width: u32 }
);

/// `[B, N, D]` to `[B, count, D]`, rows from `start` on; reversed (`pad`), `[B, count, D]` to `[B, total, D]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceRows {
    /// First row.
    pub start: usize,
    /// Rows of the smaller tensor.
    pub count: usize,
    /// Rows of the larger tensor.
    pub total: usize,
    /// From the smaller to the larger tensor, zeros elsewhere.
    pub pad: bool,
}

impl Op for SliceRows {
    fn name(&self) -> &'static str {
        "slice_rows"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [x] = take(inputs, [("x", Floats)])?;
        let [batches, rows, width] = *x.shape.as_slice() else {
            return Err(format!("expected [B, N, D], got {:?}", x.shape));
        };
        let (from, to) = if self.pad { (self.count, self.total) } else { (self.total, self.count) };
        if rows != from || self.start + self.count > self.total {
            return Err(format!("rows {}..{} of {rows}", self.start, self.start + self.count));
        }
        Ok(vec![TensorType::f32(&[batches, to, width]).of(x.dtype)])
    }

    fn gradient(
        &self,
        graph: &mut Graph,
        _node: &Node,
        grads: &[Option<Var>],
        _wants: &[bool],
    ) -> Result<Vec<Option<Var>>, GraphError> {
        let Some(dy) = grads[0] else { return Ok(vec![None]) };
        Ok(vec![Some(graph.add1(SliceRows { pad: !self.pad, ..*self }, &[dy])?)])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let (width, scalar) = vectors(launcher.output_type(0).last());
        let params = Params {
            outer: self.total as u32,
            inner: self.count as u32,
            start: self.start as u32,
            width: width as u32,
        };
        let key = KernelKey::new("slice_rows").when("PAD", self.pad).when("SCALAR", scalar);
        launcher.call(key, &params, &[launcher.input(0), launcher.output(0)], batched_groups(launcher.output_type(0)))
    }
}

/// Rows `start .. start + count` of each batch element of `x [B, N, D]`.
pub fn slice_rows(graph: &mut Graph, x: Var, start: usize, count: usize) -> Result<Var, GraphError> {
    let total = graph.shape(x).get(1).copied().unwrap_or(0);
    graph.add1(SliceRows { start, count, total, pad: false }, &[x])
}
