//! Layer normalisation over the last axis (Ba, Kiros and Hinton 2016).

use std::sync::Arc;

use super::Add;
use super::column_sum::ColumnGroups;
use super::rows::{row_groups, vectors};
use crate::gpu::KernelKey;
use crate::graph::{Absorption, Graph, GraphError, Launcher, Node, Op, TensorType, Var};

uniform!(
    /// Uniform of the forward kernel.
    Params in "layer_norm" { rows: u32, width: u32, groups: u32, eps: f32 }
);
uniform!(
    /// Uniform of the kernel for the input's gradient.
    GradientParams in "layer_norm_gradient" { rows: u32, width: u32, groups: u32 }
);
uniform!(
    /// Uniform of the kernel for the gradients of gamma and beta.
    ColumnsParams in "layer_norm_columns" { rows: u32, width: u32, strip: u32 }
);

/// Inputs `x [.., width]`, `gamma [width]`, `beta [width]`; outputs `y` like `x` and `stats [rows, 2]`, the mean and
/// `1 / sqrt(variance + eps)` of each row. The variance is the biased one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNorm {
    /// Added to the variance.
    pub eps: f32,
}

/// Gradient for `x`; inputs `x`, `gamma`, `stats`, `dy`, with `residual` a gradient to add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerNormGradient {
    /// Whether a fifth input is added to the result.
    pub residual: bool,
}

/// Gradients for `gamma` and `beta`; inputs `x`, `stats`, `dy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerNormColumns;

/// How many vectors each of a row's 32 invocations may hold, so that the row is read once.
const HELD: [usize; 5] = [2, 4, 6, 8, 10];

/// `shader` for rows of `width` numbers, and the vectors of such a row.
fn rows_key(shader: &'static str, direct: bool, width: usize) -> (KernelKey, u32) {
    let (vectors, scalar) = vectors(width);
    let held = HELD.into_iter().find(|held| vectors <= 32 * held).filter(|_| !direct && !scalar);
    let key = KernelKey::new(shader).when("DIRECT", direct).when("SCALAR", scalar).when("HELD", held.is_some());
    let key = held.into_iter().fold(key, |key, held| key.constant("HELD_VECTORS", held as u32));
    (key, vectors as u32)
}

/// Every kernel that holds rows, for the widest of its rows.
pub(super) fn kernels() -> Vec<KernelKey> {
    let of_width = |held: usize| {
        let [forward, backward] = ["layer_norm", "layer_norm_gradient"].map(|name| rows_key(name, false, 128 * held).0);
        [forward, backward.clone(), backward.when("RESIDUAL", true)]
    };
    HELD.into_iter().flat_map(of_width).collect()
}

impl Op for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [x, gamma, beta] = inputs else { return Err(format!("takes three tensors, got {}", inputs.len())) };
        if gamma.len() != x.last() || beta.len() != x.last() {
            return Err(format!(
                "gamma {:?} and beta {:?} should both have the width {} of x",
                gamma.shape,
                beta.shape,
                x.last()
            ));
        }
        Ok(vec![(*x).clone(), TensorType::f32(&[x.rows(), 2])])
    }

    fn gradient(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Var>],
        wants: &[bool],
    ) -> Result<Vec<Option<Var>>, GraphError> {
        let Some(dy) = grads[0] else { return Ok(vec![None; 3]) };
        let (x, gamma, stats) = (node.inputs[0], node.inputs[1], node.outputs[1]);
        let columns = match wants[1] || wants[2] {
            true => graph.add(LayerNormColumns, &[x, stats, dy])?.into_iter().map(Some).collect(),
            false => vec![None, None],
        };
        let dx = match wants[0] {
            true => Some(graph.add1(LayerNormGradient { residual: false }, &[x, gamma, stats, dy])?),
            false => None,
        };
        Ok(vec![dx, columns[0], columns[1]])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let (rows, width) = (launcher.input_type(0).rows(), launcher.input_type(0).last());
        let direct = launcher.caps().cpu;
        let (workgroups, groups) = row_groups(launcher, rows, direct);
        let (key, width) = rows_key("layer_norm", direct, width);
        let params = Params { rows: rows as u32, width, groups, eps: self.eps };
        let args = [launcher.input(0), launcher.input(1), launcher.input(2), launcher.output(0), launcher.output(1)];
        launcher.call(key, &params, &args, workgroups)
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        8 * inputs[0].len() as u64
    }
}

impl Op for LayerNormGradient {
    fn name(&self) -> &'static str {
        "layer_norm_gradient"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        Ok(vec![inputs[0].clone()])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let (rows, width) = (launcher.input_type(0).rows(), launcher.input_type(0).last());
        let direct = launcher.caps().cpu;
        let (workgroups, groups) = row_groups(launcher, rows, direct);
        let (key, width) = rows_key("layer_norm_gradient", direct, width);
        let params = GradientParams { rows: rows as u32, width, groups };
        let key = key.when("RESIDUAL", self.residual);
        let mut args: Vec<_> = (0..4).map(|index| launcher.input(index)).collect();
        args.push(launcher.output(0));
        if self.residual {
            args.push(launcher.input(4));
        }
        launcher.call(key, &params, &args, workgroups)
    }

    fn absorb(&self, absorption: &Absorption<'_>) -> Option<Arc<dyn Op>> {
        let same = absorption.inputs.iter().all(|ty| ty.len() == absorption.inputs[0].len());
        (absorption.consumer_as::<Add>().is_some() && same && !absorption.keep && !self.residual)
            .then(|| Arc::new(LayerNormGradient { residual: true }) as Arc<dyn Op>)
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        14 * inputs[0].len() as u64
    }
}

impl Op for LayerNormColumns {
    fn name(&self) -> &'static str {
        "layer_norm_columns"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let width = TensorType::f32(&[inputs[0].last()]);
        Ok(vec![width.clone(), width])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let (rows, width) = (launcher.input_type(0).rows(), launcher.input_type(0).last());
        let (vectors, scalar) = vectors(width);
        let columns = ColumnGroups::of(launcher.caps(), vectors);
        let strip = columns.strip(rows);
        let count = rows.div_ceil(strip);
        let key = columns.key("layer_norm_columns").when("SCALAR", scalar);
        let outputs = [launcher.output(0), launcher.output(1)];
        let targets = match count {
            1 => outputs,
            _ => [(); 2].map(|()| launcher.scratch(TensorType::f32(&[count, width]))),
        };
        let params = ColumnsParams { rows: rows as u32, width: vectors as u32, strip: strip as u32 };
        let args = [launcher.input(0), launcher.input(2), targets[0], targets[1], launcher.input(1)];
        launcher.call(key.clone(), &params, &args, [columns.groups, count as u32, 1])?;
        if count > 1 {
            let params = ColumnsParams { rows: count as u32, width: vectors as u32, strip: count as u32 };
            let args = [targets[0], targets[1], outputs[0], outputs[1]];
            launcher.call(key.when("FINISH", true), &params, &args, [columns.groups, 1, 1])?;
        }
        Ok(())
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        5 * inputs[0].len() as u64
    }
}

/// Layer normalisation of the last axis of `x`.
pub fn layer_norm(graph: &mut Graph, x: Var, gamma: Var, beta: Var, eps: f32) -> Result<Var, GraphError> {
    Ok(graph.add(LayerNorm { eps }, &[x, gamma, beta])?[0])
}
