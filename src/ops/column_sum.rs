//! Sum over leading axes: the gradient of anything that was repeated along them.

use super::inputs::Holds::{Floats, Words};
use super::inputs::check;
use super::rows::vectors;
use crate::gpu::KernelKey;
use crate::graph::{Arg, Caps, Graph, GraphError, Launcher, Op, TensorType, Var};

uniform!(
    /// Uniform of the kernel.
    Params in "column_sum" {
        rows: u32, columns: u32, strip: u32, limit: u32, groups: u32, second_columns: u32, across: u32,
    }
);

/// Sum of `x` over its leading axes down to `shape`, in a fixed order.
///
/// With `limit`, a second input of row indices tells which rows count: those with an index of at least `limit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnSum {
    /// Shape of the result: the last axes of `x`, leading ones allowed.
    pub shape: Vec<usize>,
    /// Rows with a smaller index are left out.
    pub limit: Option<u32>,
}

impl ColumnSum {
    fn columns(&self) -> usize {
        self.shape.iter().product()
    }
}

impl Op for ColumnSum {
    fn name(&self) -> &'static str {
        "column_sum"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        check(inputs, &[("x", Floats), ("index", Words)][..1 + usize::from(self.limit.is_some())])?;
        let columns = self.columns();
        if columns == 0 || !inputs[0].len().is_multiple_of(columns) {
            return Err(format!("cannot sum {:?} down to {:?}", inputs[0].shape, self.shape));
        }
        let rows = inputs[0].len() / columns;
        if self.limit.is_some() && inputs.get(1).is_none_or(|index| index.len() != rows) {
            return Err(format!("expected an index for each of the {rows} rows"));
        }
        Ok(vec![TensorType::f32(&self.shape)])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let columns = self.columns();
        let rows = launcher.input_type(0).len() / columns;
        let index = self.limit.map(|_| launcher.input(1));
        column_sum_calls(launcher, launcher.input(0), launcher.output(0), (rows, columns), index.zip(self.limit))
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        inputs[0].len() as u64
    }
}

/// How kernels that share `shaders/lib/columns.wgsl` go over rows of a number of vectors.
#[derive(Clone, Copy, Debug)]
pub(super) struct ColumnGroups {
    cpu: bool,
    direct: bool,
    /// Vectors of a row that a workgroup takes.
    columns: usize,
    /// Workgroups along a row.
    pub groups: u32,
}

impl ColumnGroups {
    /// For rows of `vectors`.
    pub(super) fn of(caps: Caps, vectors: usize) -> Self {
        ColumnGroups::sharing(caps, vectors, 16)
    }

    /// The same where the rows are sums of what went before: few, so that fewer columns make a workgroup.
    pub(super) fn finishing(caps: Caps, vectors: usize) -> Self {
        ColumnGroups::sharing(caps, vectors, 4)
    }

    fn sharing(caps: Caps, vectors: usize, columns: usize) -> Self {
        // Where columns alone make enough invocations, none needs to be shared.
        let direct = caps.cpu || vectors >= 32_768;
        let columns = if direct { 64 } else { columns };
        ColumnGroups { cpu: caps.cpu, direct, columns, groups: vectors.div_ceil(columns) as u32 }
    }

    /// Workgroups along rows of another number of vectors.
    fn groups_of(&self, vectors: usize) -> u32 {
        vectors.div_ceil(self.columns) as u32
    }

    /// `shader` in the kind that suits.
    pub(super) fn key(&self, shader: &'static str) -> KernelKey {
        KernelKey::new(shader).when("DIRECT", self.direct)
    }

    /// Rows of a strip, so that there are enough workgroups for a large GPU and yet few partial sums.
    pub(super) fn strip(&self, rows: usize) -> usize {
        if self.cpu {
            // Strips of about sqrt(rows) make both stages of a sum equally long.
            if rows <= 64 { rows } else { ((rows as f64).sqrt().ceil() as usize).next_multiple_of(16) }
        } else if self.direct || rows <= 256 {
            rows
        } else {
            // A workgroup has 64 rows under way at a time.
            (rows * self.groups as usize).div_ceil(1024).next_multiple_of(64).min(rows)
        }
    }
}

/// Launches that sum `x` `[rows, columns]` over its rows into `y` `[columns]`, for use inside other ops.
pub(super) fn column_sum_calls(
    launcher: &mut Launcher<'_>,
    x: Arg,
    y: Arg,
    (rows, columns): (usize, usize),
    masked: Option<(Arg, u32)>,
) -> Result<(), GraphError> {
    let (vectors, scalar) = vectors(columns);
    let split = ColumnGroups::of(launcher.caps(), vectors);
    let strip = split.strip(rows);
    let strips = rows.div_ceil(strip);
    let limit = masked.map_or(0, |(_, limit)| limit);
    let ([x_groups, y_groups, _], across) = launcher.spread(split.groups as usize, 1);
    let whole = Params { rows: rows as u32, columns: vectors as u32, strip: strip as u32, across, ..Params::default() };
    let params = Params { limit, ..whole };
    let key = split.key("column_sum").when("SCALAR", scalar);
    let target = if strips == 1 { y } else { launcher.scratch(TensorType::f32(&[strips, columns])) };
    let args: Vec<Arg> = [x, target].into_iter().chain(masked.map(|(index, _)| index)).collect();
    let workgroups = [x_groups, y_groups, strips as u32];
    launcher.call(key.clone().when("MASKED", masked.is_some()), &params, &args, workgroups)?;
    if strips > 1 {
        let params = Params { rows: strips as u32, strip: strips as u32, ..whole };
        launcher.call(key, &params, &[target, y], [x_groups, y_groups, 1])?;
    }
    Ok(())
}

/// The sums over `rows` of two matrices at once, each with its result and columns; the first is the larger one. The rows are
/// few: one strip.
pub(super) fn column_sum_pair(
    launcher: &mut Launcher<'_>,
    rows: usize,
    [first, second]: [(Arg, Arg, usize); 2],
) -> Result<(), GraphError> {
    let extents = |(_, _, columns): (Arg, Arg, usize)| vectors(columns);
    let ((columns, scalar), (second_columns, second_scalar)) = (extents(first), extents(second));
    if scalar || second_scalar {
        column_sum_calls(launcher, first.0, first.1, (rows, first.2), None)?;
        return column_sum_calls(launcher, second.0, second.1, (rows, second.2), None);
    }
    let split = ColumnGroups::of(launcher.caps(), columns);
    let groups = [columns, second_columns].map(|columns| split.groups_of(columns));
    let (workgroups, across) = launcher.spread((groups[0] + groups[1]) as usize, 1);
    let params = Params {
        rows: rows as u32,
        columns: columns as u32,
        strip: rows as u32,
        limit: 0,
        groups: groups[0],
        second_columns: second_columns as u32,
        across,
    };
    let args = [(1, first.0), (2, first.1), (4, second.0), (5, second.1)];
    launcher.call_at(split.key("column_sum").when("PAIR", true), &params, &args, workgroups)
}

/// Sum of `x` over its leading axes down to `shape`.
pub fn column_sum(graph: &mut Graph, x: Var, shape: &[usize]) -> Result<Var, GraphError> {
    graph.add1(ColumnSum { shape: shape.to_vec(), limit: None }, &[x])
}
