//! Sum over leading axes: the gradient of anything that was repeated along them.

use crate::gpu::KernelKey;
use crate::graph::{Arg, Graph, GraphError, Launcher, Op, TensorType, Var};

uniform!(
    /// Uniform of the kernel.
    Params in "column_sum" { rows: u32, columns: u32, strip: u32, limit: u32 }
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

/// Rows a strip: strips of about sqrt(rows) make both stages of a sum equally long.
pub(super) fn strips(rows: usize) -> usize {
    if rows <= 64 { rows } else { ((rows as f64).sqrt().ceil() as usize).next_multiple_of(16) }
}

/// Launches that sum `x` `[rows, columns]` over its rows into `y` `[columns]`, for use inside other ops.
pub(super) fn column_sum_calls(
    launcher: &mut Launcher<'_>,
    x: Arg,
    y: Arg,
    (rows, columns): (usize, usize),
    masked: Option<(Arg, u32)>,
) -> Result<(), GraphError> {
    let strip = strips(rows);
    let strips = rows.div_ceil(strip);
    let x_groups = columns.div_ceil(64) as u32;
    let limit = masked.map_or(0, |(_, limit)| limit);
    let params = Params { rows: rows as u32, columns: columns as u32, strip: strip as u32, limit };
    let key = KernelKey::new("column_sum").when("MASKED", masked.is_some());
    let target = if strips == 1 { y } else { launcher.scratch(TensorType::f32(&[strips, columns])) };
    let args: Vec<Arg> = [x, target].into_iter().chain(masked.map(|(index, _)| index)).collect();
    launcher.call(key, &params, &args, [x_groups, strips as u32, 1])?;
    if strips > 1 {
        let params = Params { rows: strips as u32, columns: columns as u32, strip: strips as u32, limit: 0 };
        launcher.call(KernelKey::new("column_sum"), &params, &[target, y], [x_groups, 1, 1])?;
    }
    Ok(())
}

/// Sum of `x` over its leading axes down to `shape`.
pub fn column_sum(graph: &mut Graph, x: Var, shape: &[usize]) -> Result<Var, GraphError> {
    graph.add1(ColumnSum { shape: shape.to_vec(), limit: None }, &[x])
}
