//! Tokens put before tokens: a class token before patches.

use super::inputs::Holds::Floats;
use super::inputs::take;
use super::rows::{batched_groups, vectors};
use super::{column_sum, slice_rows};
use crate::gpu::KernelKey;
use crate::graph::{Graph, GraphError, Launcher, Node, Op, TensorType, Var};

uniform!(
    /// Uniform of the kernel.
    Params in "concat_rows" { a_rows: u32, b_rows: u32, width: u32, a_batches: u32 }
);

/// `a [1 or B, M, D]` and `b [B, N, D]` to `[B, M + N, D]`, of the element type of `b`; one `a` serves all batch elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConcatRows;

impl Op for ConcatRows {
    fn name(&self) -> &'static str {
        "concat_rows"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [a, b] = take(inputs, [("a", Floats), ("b", Floats)])?;
        match (a.shape.as_slice(), b.shape.as_slice()) {
            (&[ab, m, d], &[bb, n, e]) if d == e && (ab == 1 || ab == bb) => {
                Ok(vec![TensorType::f32(&[bb, m + n, d]).of(b.dtype)])
            }
            _ => Err(format!("{:?} cannot stand before {:?}; expected [1 or B, M, D] and [B, N, D]", a.shape, b.shape)),
        }
    }

    fn gradient(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Var>],
        wants: &[bool],
    ) -> Result<Vec<Option<Var>>, GraphError> {
        let Some(dy) = grads[0] else { return Ok(vec![None; 2]) };
        let (a, b) = (graph.shape(node.inputs[0]).to_vec(), graph.shape(node.inputs[1]).to_vec());
        let mut found = vec![None; 2];
        if wants[0] {
            let da = slice_rows(graph, dy, 0, a[1])?;
            found[0] = Some(if a[0] == b[0] { da } else { column_sum(graph, da, &a)? });
        }
        if wants[1] {
            found[1] = Some(slice_rows(graph, dy, a[1], b[1])?);
        }
        Ok(found)
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let (a, b) = (launcher.input_type(0).shape.clone(), launcher.input_type(1).shape.clone());
        let (width, scalar) = vectors(launcher.output_type(0).last());
        let params = Params { a_rows: a[1] as u32, b_rows: b[1] as u32, width: width as u32, a_batches: a[0] as u32 };
        let args = [launcher.input(0), launcher.input(1), launcher.output(0)];
        let key = KernelKey::new("concat_rows").when("SCALAR", scalar);
        launcher.call(key, &params, &args, batched_groups(launcher.output_type(0)))
    }
}

/// Rows of `a` (shared by all batch elements where it has one) followed by rows of `b`.
pub fn concat_rows(graph: &mut Graph, a: Var, b: Var) -> Result<Var, GraphError> {
    graph.add1(ConcatRows, &[a, b])
}
