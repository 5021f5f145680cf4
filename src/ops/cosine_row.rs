//! How alike one row is to all others.

use super::inputs::Holds::{Floats, Words};
use super::inputs::take;
use crate::gpu::KernelKey;
use crate::graph::{DType, Graph, GraphError, Launcher, Op, TensorType, Var};

uniform!(
    /// Uniform of the kernel.
    Params in "cosine_row" { rows: u32, across: u32, width: u32 }
);

/// `x` f32 `[..., D]` of N rows and `query` u32 `[1]` to f32 `[N]`: the cosine of the angle between row `query` and each
/// row; 0 for rows of zeros. Has no gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CosineRow;

impl Op for CosineRow {
    fn name(&self) -> &'static str {
        "cosine_row"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [x, query] = take(inputs, [("x", Floats), ("query", Words)])?;
        if x.dtype != DType::F32 {
            return Err(format!("expected rows in f32, got {:?}", x.dtype));
        }
        if *query != TensorType::u32(&[1]) {
            return Err(format!("query is {:?} {:?}, expected U32 [1]", query.dtype, query.shape));
        }
        Ok(vec![TensorType::f32(&[x.rows()])])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let rows = launcher.output_type(0).len();
        let (workgroups, across) = launcher.spread(rows, 64);
        let params = Params { rows: rows as u32, across, width: launcher.input_type(0).last() as u32 };
        let args = [launcher.input(0), launcher.input(1), launcher.output(0)];
        launcher.call(KernelKey::new("cosine_row"), &params, &args, workgroups)
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        6 * inputs[0].len() as u64
    }
}

/// Cosines of row `query` of `x` with each row, `[N]`. See [`CosineRow`].
pub fn cosine_row(graph: &mut Graph, x: Var, query: Var) -> Result<Var, GraphError> {
    graph.add1(CosineRow, &[x, query])
}
