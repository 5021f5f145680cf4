//! Exact GELU, `x Φ(x)`: the erf form, not the tanh approximation (Hendrycks and Gimpel 2016).

use super::inputs::Holds::Floats;
use super::inputs::take;
use crate::gpu::KernelKey;
use crate::graph::{Graph, GraphError, Launcher, Node, Op, TensorType, Var};

uniform!(
    /// Uniform of the kernel.
    Params in "gelu" { length: u32, across: u32 }
);

/// `y = x Φ(x)`, element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gelu;

/// Its slope, `Φ(x) + x φ(x)`, element by element: a product that GELU follows knows both parts of it already, so that it
/// is this which is kept for the way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeluSlope;

/// `dx = dy slope`; inputs `slope`, `dy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeluGradient;

impl Op for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
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
        let slope = graph.add1(GeluSlope, &[node.inputs[0]])?;
        Ok(vec![Some(graph.add1(GeluGradient, &[slope, dy])?)])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        launch(launcher, KernelKey::new("gelu"))
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        20 * inputs[0].len() as u64
    }
}

impl Op for GeluSlope {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [x] = take(inputs, [("x", Floats)])?;
        Ok(vec![x.clone()])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        launch(launcher, KernelKey::new("gelu").when("SLOPE", true))
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        20 * inputs[0].len() as u64
    }
}

impl Op for GeluGradient {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [slope, dy] = take(inputs, [("slope", Floats), ("dy", Floats)])?;
        if slope == dy { Ok(vec![dy.clone()]) } else { Err(format!("slope is {slope}, dy {dy}; expected the same")) }
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let length = launcher.input_type(0).len();
        let (workgroups, across) = launcher.spread(length, 256);
        let args = [launcher.input(0), launcher.output(0), launcher.input(1)];
        let key = KernelKey::new("gelu").when("GRADIENT", true);
        launcher.call(key, &Params { length: length as u32, across }, &args, workgroups)
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        inputs[0].len() as u64
    }
}

/// One input to one output, element by element.
fn launch(launcher: &mut Launcher<'_>, key: KernelKey) -> Result<(), GraphError> {
    let length = launcher.input_type(0).len();
    let (workgroups, across) = launcher.spread(length, 256);
    let args = [launcher.input(0), launcher.output(0)];
    launcher.call(key, &Params { length: length as u32, across }, &args, workgroups)
}

/// `x Φ(x)`.
pub fn gelu(graph: &mut Graph, x: Var) -> Result<Var, GraphError> {
    graph.add1(Gelu, &[x])
}
