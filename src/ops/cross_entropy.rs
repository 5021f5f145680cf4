//! Cross-entropy of logits with labels: the loss of a classifier.

use super::inputs::Holds::{Floats, Words};
use super::inputs::take;
use super::mean_rows::mean_rows;
use super::rows::row_groups;
use crate::gpu::KernelKey;
use crate::graph::{Graph, GraphError, Launcher, Node, Op, TensorType, Var};

uniform!(
    /// Uniform of the kernel: `groups` is the workgroups along x.
    Params in "cross_entropy" { rows: u32, columns: u32, groups: u32 }
);

/// Invocations that share a row.
const LANES: usize = 32;

/// Inputs logits `[B, C]` and labels u32 `[B]`, each below `C`; outputs `log Σ exp` of each row `[B]` and the loss of each,
/// `[1, B, 1]`, so that [`mean_rows`] makes its mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrossEntropy;

/// Gradient for the logits; inputs logits, labels, `log Σ exp` and `dloss [1, B, 1]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrossEntropyGradient;

fn call(launcher: &mut Launcher<'_>, gradient: bool) -> Result<(), GraphError> {
    let (rows, columns) = (launcher.input_type(0).rows(), launcher.input_type(0).last());
    // Rows that leave invocations idle are cheaper with one invocation each.
    let direct = launcher.caps().cpu || columns < LANES;
    let (workgroups, groups) = row_groups(launcher, rows, direct);
    let params = Params { rows: rows as u32, columns: columns as u32, groups };
    let key = KernelKey::new("cross_entropy").when("GRADIENT", gradient).when("DIRECT", direct);
    let mut args = vec![launcher.input(0), launcher.input(1)];
    match gradient {
        true => args.extend([launcher.input(2), launcher.input(3), launcher.output(0)]),
        false => args.extend([launcher.output(0), launcher.output(1)]),
    }
    launcher.call(key, &params, &args, workgroups)
}

impl Op for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [logits, labels] = take(inputs, [("logits", Floats), ("labels", Words)])?;
        match *logits.shape.as_slice() {
            [rows, columns] if columns > 0 && labels.len() == rows => {
                Ok(vec![TensorType::f32(&[rows]), TensorType::f32(&[1, rows, 1])])
            }
            _ => Err(format!("logits {:?} and labels {:?} do not belong together", logits.shape, labels.shape)),
        }
    }

    fn gradient(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Var>],
        wants: &[bool],
    ) -> Result<Vec<Option<Var>>, GraphError> {
        if grads[0].is_some() {
            return Err(GraphError::NoGradientThrough { op: self.name(), output: "per_row" });
        }
        if wants[1] {
            return Err(GraphError::NoGradient { op: self.name(), input: 1 });
        }
        let Some(dloss) = grads[1] else { return Ok(vec![None; 2]) };
        let inputs = [node.inputs[0], node.inputs[1], node.outputs[0], dloss];
        Ok(vec![Some(graph.add1(CrossEntropyGradient, &inputs)?), None])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        call(launcher, false)
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        4 * inputs[0].len() as u64
    }
}

impl Op for CrossEntropyGradient {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let names = [("logits", Floats), ("labels", Words), ("normalisers", Floats), ("dloss", Floats)];
        let [logits, ..] = take(inputs, names)?;
        Ok(vec![logits.clone()])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        call(launcher, true)
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        4 * inputs[0].len() as u64
    }
}

/// Mean over the batch `[1, 1]` of the cross-entropy of `logits [B, C]` with `labels [B]`.
pub fn cross_entropy(graph: &mut Graph, logits: Var, labels: Var) -> Result<Var, GraphError> {
    let outputs = graph.add(CrossEntropy, &[logits, labels])?;
    mean_rows(graph, outputs[1])
}
