//! Mean square error over the rows that a mask selects: the loss of He et al. 2021, section 3.

use super::inputs::Holds::Floats;
use super::inputs::take;
use super::rows::{row_groups, vectors};
use crate::gpu::KernelKey;
use crate::graph::{Graph, GraphError, Launcher, Node, Op, TensorType, Var};

uniform!(
    /// Uniform of all three kernels.
    Params in "masked_mse" { rows: u32, width: u32, groups: u32 }
);

/// Inputs `pred [.., P]`, `target` alike, `mask` of one number a row; outputs `loss [1]`, `per_row [rows]` and
/// `count [1]`.
///
/// `per_row` is the mean square error of each row; `loss = sum(mask per_row) / sum(mask)`, zero where the mask is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaskedMse;

/// Gradient for `pred`; inputs `pred`, `target`, `mask`, `count`, `dloss`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaskedMseGradient;

/// What [`masked_mse`] computes.
#[derive(Clone, Copy, Debug)]
pub struct MaskedMseVars {
    /// `[1]`.
    pub loss: Var,
    /// Mean square error of each row `[rows]`.
    pub per_row: Var,
}

impl Op for MaskedMse {
    fn name(&self) -> &'static str {
        "masked_mse"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [pred, target, mask] = take(inputs, [("pred", Floats), ("target", Floats), ("mask", Floats)])?;
        if pred.len() != target.len() || pred.last() != target.last() || mask.len() != pred.rows() {
            return Err(format!(
                "prediction {:?}, target {:?} and mask {:?} do not belong together",
                pred.shape, target.shape, mask.shape
            ));
        }
        Ok(vec![TensorType::f32(&[1]), TensorType::f32(&[pred.rows()]), TensorType::f32(&[1])])
    }

    fn gradient(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Var>],
        wants: &[bool],
    ) -> Result<Vec<Option<Var>>, GraphError> {
        for (index, output) in [(1, "per_row"), (2, "count")] {
            if grads[index].is_some() {
                return Err(GraphError::NoGradientThrough { op: self.name(), output });
            }
        }
        let mut found = vec![None; 3];
        if let Some(input) = [1, 2].into_iter().find(|input| wants[*input]) {
            return Err(GraphError::NoGradient { op: self.name(), input });
        }
        if let (Some(dloss), true) = (grads[0], wants[0]) {
            let inputs = [node.inputs[0], node.inputs[1], node.inputs[2], node.outputs[2], dloss];
            found[0] = Some(graph.add1(MaskedMseGradient, &inputs)?);
        }
        Ok(found)
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let (rows, width) = (launcher.input_type(0).rows(), launcher.input_type(0).last());
        let direct = launcher.caps().cpu;
        let (workgroups, groups) = row_groups(launcher, rows, direct);
        let (vectors, scalar) = vectors(width);
        let params = Params { rows: rows as u32, width: vectors as u32, groups };
        let key = KernelKey::new("masked_mse").when("PER_ROW", true).when("DIRECT", direct).when("SCALAR", scalar);
        let args = [(1, launcher.input(0)), (2, launcher.input(1)), (4, launcher.output(1))];
        launcher.call_at(key, &params, &args, workgroups)?;
        let args = [(3, launcher.input(2)), (4, launcher.output(1)), (5, launcher.output(0)), (6, launcher.output(2))];
        launcher.call_at(KernelKey::new("masked_mse"), &params, &args, [1, 1, 1])
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        3 * inputs[0].len() as u64
    }
}

impl Op for MaskedMseGradient {
    fn name(&self) -> &'static str {
        "masked_mse"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let names = ["pred", "target", "mask", "count", "dloss"].map(|name| (name, Floats));
        let [pred, ..] = take(inputs, names)?;
        Ok(vec![pred.clone()])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let (rows, width) = (launcher.input_type(0).rows(), launcher.input_type(0).last());
        let direct = launcher.caps().cpu;
        let (workgroups, groups) = row_groups(launcher, rows, direct);
        let (vectors, scalar) = vectors(width);
        let params = Params { rows: rows as u32, width: vectors as u32, groups };
        let mut args = vec![(1, launcher.input(0)), (2, launcher.input(1)), (3, launcher.input(2))];
        args.extend([(5, launcher.input(3)), (6, launcher.input(4)), (7, launcher.output(0))]);
        let key = KernelKey::new("masked_mse").when("GRADIENT", true).when("DIRECT", direct).when("SCALAR", scalar);
        launcher.call_at(key, &params, &args, workgroups)
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        3 * inputs[0].len() as u64
    }
}

/// Mean square error over the rows that `mask` selects.
pub fn masked_mse(graph: &mut Graph, pred: Var, target: Var, mask: Var) -> Result<MaskedMseVars, GraphError> {
    let outputs = graph.add(MaskedMse, &[pred, target, mask])?;
    Ok(MaskedMseVars { loss: outputs[0], per_row: outputs[1] })
}
