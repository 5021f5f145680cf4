//! Softmax over the last axis.

use super::Variant;
use super::inputs::Holds::Floats;
use super::inputs::take;
use super::rows::row_groups;
use crate::gpu::KernelKey;
use crate::graph::{Graph, GraphError, Launcher, Node, Op, TensorType, Var};

uniform!(
    /// Uniform of the kernel: `groups` is the workgroups along x.
    Params in "softmax" { rows: u32, columns: u32, groups: u32 }
);

/// Invocations that share a row.
const LANES: usize = 32;

/// `y = exp(x - max x) / Σ exp(x - max x)` over the last axis; any shape and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax {
    /// How to reduce a row; `None` leaves it to the length of the rows and the adapter's kind.
    pub variant: Option<Variant>,
}

/// `dx = y (dy - Σ y dy)` over the last axis; inputs `y`, `dy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoftmaxGradient {
    /// As in [`Softmax`].
    pub variant: Option<Variant>,
}

fn softmax_calls(launcher: &mut Launcher<'_>, variant: Option<Variant>, gradient: bool) -> Result<(), GraphError> {
    let ty = launcher.input_type(0);
    let (rows, columns) = (ty.rows(), ty.last());
    // Rows that leave invocations idle are cheaper with one invocation each.
    let by_default = if columns < LANES { Variant::Direct } else { Variant::of(launcher.caps()) };
    let direct = !matches!(variant.unwrap_or(by_default), Variant::Shared | Variant::Lean);
    let (workgroups, groups) = row_groups(launcher, rows, direct);
    let params = Params { rows: rows as u32, columns: columns as u32, groups };
    let key = KernelKey::new("softmax").when("GRADIENT", gradient).when("DIRECT", direct);
    let mut args = vec![launcher.input(0), launcher.output(0)];
    args.extend(gradient.then(|| launcher.input(1)));
    launcher.call(key, &params, &args, workgroups)
}

impl Op for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [x] = take(inputs, [("x", Floats)])?;
        Ok(vec![x.clone()])
    }

    fn gradient(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Var>],
        _wants: &[bool],
    ) -> Result<Vec<Option<Var>>, GraphError> {
        let Some(dy) = grads[0] else { return Ok(vec![None]) };
        let op = SoftmaxGradient { variant: self.variant };
        Ok(vec![Some(graph.add1(op, &[node.outputs[0], dy])?)])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        softmax_calls(launcher, self.variant, false)
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        5 * inputs[0].len() as u64
    }
}

impl Op for SoftmaxGradient {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [y, dy] = take(inputs, [("y", Floats), ("dy", Floats)])?;
        if y == dy { Ok(vec![y.clone()]) } else { Err(format!("y is {y}, dy {dy}; expected the same")) }
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        softmax_calls(launcher, self.variant, true)
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        4 * inputs[0].len() as u64
    }
}

/// Softmax of `x` over its last axis.
pub fn softmax(graph: &mut Graph, x: Var) -> Result<Var, GraphError> {
    graph.add1(Softmax { variant: None }, &[x])
}
