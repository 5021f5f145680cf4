//! Layer normalisation over the last axis (Ba, Kiros and Hinton 2016).

use std::sync::Arc;

use super::Add;
use super::column_sum::ColumnGroups;
use super::inputs::Holds::Floats;
use super::inputs::{check, take};
use super::rows::{GROUP_ROWS, row_groups, vectors};
use crate::gpu::KernelKey;
use crate::graph::{Absorption, Arg, Graph, GraphError, Launcher, Node, Op, TensorType, Var};

uniform!(
    /// Uniform of the forward kernel.
    Params in "layer_norm" { rows: u32, width: u32, groups: u32, eps: f32 }
);
uniform!(
    /// Uniform of the kernel for the input's gradient.
    GradientParams in "layer_norm_gradient" { rows: u32, width: u32, groups: u32, turns: u32, stride: u32 }
);
uniform!(
    /// Uniform of the kernel for the gradients of gamma and beta.
    ColumnsParams in "layer_norm_columns" { rows: u32, width: u32, strip: u32, across: u32 }
);

/// Inputs `x [.., width]`, `gamma [width]`, `beta [width]`; outputs `y` like `x` and `stats [rows, 2]`, the mean and
/// `1 / sqrt(variance + eps)` of each row. The variance is the biased one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNorm {
    /// Added to the variance.
    pub eps: f32,
}

/// Gradient for `x`; inputs `x`, `gamma`, `stats`, `dy`, with `residual` a gradient to add. With `columns` those for
/// `gamma` and `beta` come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerNormGradient {
    /// Whether a fifth input is added to the result for `x`.
    pub residual: bool,
    /// Whether gradients for `gamma` and `beta` are wanted too.
    pub columns: bool,
}

/// Gradients for `gamma` and `beta` alone; inputs `x`, `stats`, `dy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerNormColumns;

/// How many vectors each of a row's 32 invocations may hold, so that the row is read once.
const HELD: [usize; 5] = [2, 4, 6, 8, 10];

/// Workgroups that share out rows where these are summed too: enough to fill a large GPU, few enough for their sums to be
/// little beside the rows.
const SUMMING_GROUPS: usize = 768;

/// Most of them where sums of columns are held beside them, where invocations have few registers.
const MOST_HELD_WITH_COLUMNS: usize = 4;

/// How many vectors each invocation holds of rows of `width` numbers, where these are held.
fn held_vectors(direct: bool, width: usize) -> Option<usize> {
    let (vectors, scalar) = vectors(width);
    HELD.into_iter().find(|held| vectors <= 32 * held).filter(|_| !direct && !scalar)
}

/// `shader` for rows of `width` numbers, and the vectors of such a row.
fn rows_key(shader: &'static str, direct: bool, width: usize) -> (KernelKey, u32) {
    let (vectors, scalar) = vectors(width);
    let held = held_vectors(direct, width);
    let key = KernelKey::new(shader).when("DIRECT", direct).when("SCALAR", scalar).when("HELD", held.is_some());
    let key = held.into_iter().fold(key, |key, held| key.constant("HELD_VECTORS", held as u32));
    (key, vectors as u32)
}

/// Every kernel that holds rows, for the widest of its rows.
pub(super) fn kernels() -> Vec<KernelKey> {
    let of_width = |held: usize| {
        let [forward, backward] = ["layer_norm", "layer_norm_gradient"].map(|name| rows_key(name, false, 128 * held).0);
        let with = |residual, columns| backward.clone().when("RESIDUAL", residual).when("COLUMN_SUMS", columns);
        [forward, with(false, false), with(false, true), with(true, false), with(true, true)]
    };
    HELD.into_iter().flat_map(of_width).collect()
}

impl Op for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [x, gamma, beta] = take(inputs, [("x", Floats), ("gamma", Floats), ("beta", Floats)])?;
        if gamma.len() != x.last() || beta.len() != x.last() {
            return Err(format!(
                "gamma {:?} and beta {:?} should both have the width {} of x",
                gamma.shape,
                beta.shape,
                x.last()
            ));
        }
        Ok(vec![x.clone(), TensorType::f32(&[x.rows(), 2])])
    }

    fn gradient(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Var>],
        wants: &[bool],
    ) -> Result<Vec<Option<Var>>, GraphError> {
        if grads[1].is_some() {
            return Err(GraphError::NoGradientThrough { op: self.name(), output: "stats" });
        }
        let Some(dy) = grads[0] else { return Ok(vec![None; 3]) };
        let (x, gamma, stats) = (node.inputs[0], node.inputs[1], node.outputs[1]);
        let columns = wants[1] || wants[2];
        if !wants[0] && !columns {
            return Ok(vec![None; 3]);
        }
        if !wants[0] {
            let grads = graph.add(LayerNormColumns, &[x, stats, dy])?;
            return Ok(vec![None, Some(grads[0]), Some(grads[1])]);
        }
        let grads = graph.add(LayerNormGradient { residual: false, columns }, &[x, gamma, stats, dy])?;
        Ok(match grads[..] {
            [dgamma, dbeta, dx] => vec![Some(dx), Some(dgamma), Some(dbeta)],
            _ => vec![grads.first().copied(), None, None],
        })
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

impl LayerNormGradient {
    /// Which output is the gradient for `x`.
    fn dx(&self) -> usize {
        if self.columns { 2 } else { 0 }
    }
}

impl Op for LayerNormGradient {
    fn name(&self) -> &'static str {
        "layer_norm_gradient"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let wanted = [("x", Floats), ("gamma", Floats), ("stats", Floats), ("dy", Floats), ("residual", Floats)];
        check(inputs, &wanted[..4 + usize::from(self.residual)])?;
        let x = inputs[0].clone();
        let column = TensorType::f32(&[x.last()]);
        Ok(if self.columns { vec![column.clone(), column, x] } else { vec![x] })
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let (rows, width) = (launcher.input_type(0).rows(), launcher.input_type(0).last());
        let direct = launcher.caps().cpu;
        let (key, vectors) = rows_key("layer_norm_gradient", direct, width);
        let mut args: Vec<_> = (1..).zip((0..4).map(|index| launcher.input(index))).collect();
        args.push((5, launcher.output(self.dx())));
        if self.residual {
            args.push((6, launcher.input(4)));
        }
        let key = key.when("RESIDUAL", self.residual);
        let most = if launcher.caps().few_registers { MOST_HELD_WITH_COLUMNS } else { usize::MAX };
        if self.columns && held_vectors(direct, width).is_some_and(|held| held <= most) {
            let shares = rows.div_ceil(GROUP_ROWS as usize);
            let turns = shares.div_ceil(SUMMING_GROUPS);
            let groups = shares.div_ceil(turns);
            let partial = [(); 2].map(|()| launcher.scratch(TensorType::f32(&[groups, width])));
            args.extend([(7, partial[0]), (8, partial[1])]);
            let [count, turns] = [groups, turns].map(|count| count as u32);
            let stride = count * GROUP_ROWS;
            let params = GradientParams { rows: rows as u32, width: vectors, groups: count, turns, stride };
            launcher.call_at(key.when("COLUMN_SUMS", true), &params, &args, [count, 1, 1])?;
            return finish_columns(launcher, partial, [launcher.output(0), launcher.output(1)], groups, width);
        }
        let (workgroups, groups) = row_groups(launcher, rows, direct);
        let params = GradientParams { rows: rows as u32, width: vectors, groups, turns: 1, stride: 0 };
        launcher.call_at(key, &params, &args, workgroups)?;
        if self.columns {
            let [x, stats, dy] = [0, 2, 3].map(|index| launcher.input(index));
            columns_calls(launcher, [x, stats, dy], [launcher.output(0), launcher.output(1)], (rows, width))?;
        }
        Ok(())
    }

    fn absorb(&self, absorption: &Absorption<'_>) -> Option<Arc<dyn Op>> {
        let same = absorption.inputs.iter().all(|ty| ty.len() == absorption.inputs[0].len());
        (absorption.consumer_as::<Add>().is_some() && same && !self.residual)
            .then(|| Arc::new(LayerNormGradient { residual: true, ..*self }) as Arc<dyn Op>)
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        let number = if self.columns { 19 } else { 14 };
        number * inputs[0].len() as u64
    }
}

impl Op for LayerNormColumns {
    fn name(&self) -> &'static str {
        "layer_norm_columns"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [x, ..] = take(inputs, [("x", Floats), ("stats", Floats), ("dy", Floats)])?;
        let width = TensorType::f32(&[x.last()]);
        Ok(vec![width.clone(), width])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let extents = (launcher.input_type(0).rows(), launcher.input_type(0).last());
        let inputs = [0, 1, 2].map(|index| launcher.input(index));
        columns_calls(launcher, inputs, [launcher.output(0), launcher.output(1)], extents)
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        5 * inputs[0].len() as u64
    }
}

/// Launches that compute the gradients of gamma and beta from `x`, `stats` and `dy` of `rows` of `width`.
fn columns_calls(
    launcher: &mut Launcher<'_>,
    [x, stats, dy]: [Arg; 3],
    outputs: [Arg; 2],
    (rows, width): (usize, usize),
) -> Result<(), GraphError> {
    let (vectors, scalar) = vectors(width);
    let columns = ColumnGroups::of(launcher.caps(), vectors);
    let strip = columns.strip(rows);
    let count = rows.div_ceil(strip);
    let targets = match count {
        1 => outputs,
        _ => [(); 2].map(|()| launcher.scratch(TensorType::f32(&[count, width]))),
    };
    let key = columns.key("layer_norm_columns").when("SCALAR", scalar);
    let ([x_groups, y_groups, _], across) = launcher.spread(columns.groups as usize, 1);
    let params = ColumnsParams { rows: rows as u32, width: vectors as u32, strip: strip as u32, across };
    let workgroups = [x_groups, y_groups, count as u32];
    launcher.call(key, &params, &[x, dy, targets[0], targets[1], stats], workgroups)?;
    if count > 1 {
        finish_columns(launcher, targets, outputs, count, width)?;
    }
    Ok(())
}

/// The launch that sums the `count` sums of strips or workgroups that make the gradients of gamma and beta.
fn finish_columns(
    launcher: &mut Launcher<'_>,
    partial: [Arg; 2],
    outputs: [Arg; 2],
    count: usize,
    width: usize,
) -> Result<(), GraphError> {
    let (vectors, scalar) = vectors(width);
    let columns = ColumnGroups::finishing(launcher.caps(), vectors);
    let key = columns.key("layer_norm_columns").when("SCALAR", scalar).when("FINISH", true);
    let (workgroups, across) = launcher.spread(columns.groups as usize, 1);
    let params = ColumnsParams { rows: count as u32, width: vectors as u32, strip: count as u32, across };
    launcher.call(key, &params, &[partial[0], partial[1], outputs[0], outputs[1]], workgroups)
}

/// Layer normalisation of the last axis of `x`.
pub fn layer_norm(graph: &mut Graph, x: Var, gamma: Var, beta: Var, eps: f32) -> Result<Var, GraphError> {
    Ok(graph.add(LayerNorm { eps }, &[x, gamma, beta])?[0])
}
