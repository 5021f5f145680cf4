//! Sum of two tensors; the second may be repeated along the leading axes (a bias, a position table).

use super::column_sum;
use super::inputs::Holds::Floats;
use super::inputs::take;
use super::rows::vectors;
use crate::gpu::KernelKey;
use crate::graph::{Graph, GraphError, Launcher, Node, Op, TensorType, Var};

uniform!(
    /// Uniform of the kernel.
    Params in "add" { length: u32, across: u32, period: u32 }
);

/// `a + b`, in the element type of `a`, where the shape of `b` is that of the last axes of `a` (leading ones aside).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Add;

/// Whether `b`, leading ones aside, has the shape of the last axes of `a`.
fn repeats(a: &[usize], b: &[usize]) -> bool {
    let ones = b.iter().take_while(|extent| **extent == 1).count();
    a.ends_with(&b[ones..])
}

impl Op for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [a, b] = take(inputs, [("a", Floats), ("b", Floats)])?;
        if repeats(&a.shape, &b.shape) {
            Ok(vec![a.clone()])
        } else {
            Err(format!("{:?} cannot be added to the last axes of {:?}", b.shape, a.shape))
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
        let b = graph.ty(node.inputs[1]).clone();
        let db = match wants[1] {
            // Of another shape it is another tensor, even of a single row: what is stored beside other gradients must not be
            // what the products that make those read.
            true if b.shape == graph.ty(dy).shape => Some(dy),
            true => Some(column_sum(graph, dy, &b.shape)?),
            false => None,
        };
        Ok(vec![Some(dy), db])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let numbers = launcher.input_type(1).len();
        let (period, scalar) = vectors(numbers);
        let length = launcher.output_type(0).len() / numbers.max(1) * period;
        let (workgroups, across) = launcher.spread(length, 256);
        let params = Params { length: length as u32, across, period: period as u32 };
        let args = [launcher.input(0), launcher.input(1), launcher.output(0)];
        launcher.call(KernelKey::new("add").when("SCALAR", scalar), &params, &args, workgroups)
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        inputs[0].len() as u64
    }
}

/// `a + b`, with `b` repeated along the leading axes of `a`.
pub fn add(graph: &mut Graph, a: Var, b: Var) -> Result<Var, GraphError> {
    graph.add1(Add, &[a, b])
}
