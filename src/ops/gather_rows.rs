//! Tokens picked by index, and put back: both directions are gathers, so no atomics are needed.

use super::inputs::Holds::{Floats, Words};
use super::inputs::check;
use super::rows::{batched_groups, vectors};
use super::{ColumnSum, column_sum};
use crate::gpu::KernelKey;
use crate::graph::{Graph, GraphError, Launcher, Node, Op, TensorType, Var};

uniform!(
    /// Uniform of the kernel.
    Params in "gather_rows" { rows: u32, picked: u32, width: u32, x_batches: u32 }
);

/// `y[b, k] = x[b, index[b, k]]`, or the `fill` row (zeros without one) where the index is out of range.
///
/// Inputs `x [1 or B, N, D]`, `index [B, K]`, `inverse [B, N]`, and `fill` of `D` elements where `fill` is set.
/// `inverse` tells where each row of `x` went: `inverse[b, index[b, k]] = k`, anything of `K` or more for rows that
/// were not picked. No row may be picked twice. Output `[B, K, D]`, of the element type of `x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatherRows {
    /// Whether there is a fill row.
    pub fill: bool,
}

impl Op for GatherRows {
    fn name(&self) -> &'static str {
        "gather_rows"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let wanted = [("x", Floats), ("index", Words), ("inverse", Words), ("fill", Floats)];
        check(inputs, &wanted[..3 + usize::from(self.fill)])?;
        let ([bx, n, d], [b, k], [bi, ni]) =
            (inputs[0].shape.as_slice(), inputs[1].shape.as_slice(), inputs[2].shape.as_slice())
        else {
            return Err("expected x [B, N, D], index [B, K] and inverse [B, N]".to_owned());
        };
        if (*bx != 1 && bx != b) || bi != b || ni != n {
            return Err(format!(
                "x {:?}, index {:?} and inverse {:?} do not belong together",
                inputs[0].shape, inputs[1].shape, inputs[2].shape
            ));
        }
        if let Some(fill) = inputs.get(3).filter(|fill| fill.len() != *d) {
            return Err(format!("fill {:?} should have {d} elements", fill.shape));
        }
        Ok(vec![TensorType::f32(&[*b, *k, *d]).of(inputs[0].dtype)])
    }

    fn gradient(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Var>],
        wants: &[bool],
    ) -> Result<Vec<Option<Var>>, GraphError> {
        let mut found = vec![None; wants.len()];
        let Some(dy) = grads[0] else { return Ok(found) };
        let (x, index, inverse) = (node.inputs[0], node.inputs[1], node.inputs[2]);
        if wants[0] {
            let dx = graph.add1(GatherRows { fill: false }, &[dy, inverse, index])?;
            let shape = graph.shape(x).to_vec();
            found[0] = Some(if graph.shape(dx) == shape { dx } else { column_sum(graph, dx, &shape)? });
        }
        if self.fill && wants[3] {
            let shape = graph.shape(node.inputs[3]).to_vec();
            let limit = Some(graph.shape(x)[1] as u32);
            found[3] = Some(graph.add1(ColumnSum { shape, limit }, &[dy, index])?);
        }
        Ok(found)
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let x = launcher.input_type(0).shape.clone();
        let (width, scalar) = vectors(launcher.output_type(0).last());
        let picked = launcher.input_type(1).last() as u32;
        let params = Params { rows: x[1] as u32, picked, width: width as u32, x_batches: x[0] as u32 };
        let mut args = vec![launcher.input(0), launcher.input(1), launcher.output(0)];
        if self.fill {
            args.push(launcher.input(3));
        }
        let key = KernelKey::new("gather_rows").when("FILL", self.fill).when("SCALAR", scalar);
        launcher.call(key, &params, &args, batched_groups(launcher.output_type(0)))
    }
}

/// `y[b, k] = x[b, index[b, k]]`, `fill` (zeros without one) where the index is out of range; see [`GatherRows`].
pub fn gather_rows(graph: &mut Graph, x: Var, index: Var, inverse: Var, fill: Option<Var>) -> Result<Var, GraphError> {
    let inputs: Vec<Var> = [x, index, inverse].into_iter().chain(fill).collect();
    graph.add1(GatherRows { fill: fill.is_some() }, &inputs)
}
