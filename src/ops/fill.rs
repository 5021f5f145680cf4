//! A tensor of one value.

use super::inputs::take;
use crate::gpu::KernelKey;
use crate::graph::{DType, Graph, GraphError, Launcher, Op, TensorType, Var};

uniform!(
    /// Uniform of the kernel.
    Params in "fill" { length: u32, across: u32, value: f32 }
);

/// A tensor of type `ty` with every element `value`.
#[derive(Clone, Debug, PartialEq)]
pub struct Fill {
    /// Shape; floats.
    pub ty: TensorType,
    /// The value.
    pub value: f32,
}

impl Op for Fill {
    fn name(&self) -> &'static str {
        "fill"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        take(inputs, [])?;
        if self.ty.dtype == DType::U32 {
            return Err(format!("makes floats, not {}", self.ty));
        }
        Ok(vec![self.ty.clone()])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let length = self.ty.len();
        let (workgroups, across) = launcher.spread(length, 256);
        let params = Params { length: length as u32, across, value: self.value };
        launcher.call(KernelKey::new("fill"), &params, &[launcher.output(0)], workgroups)
    }
}

/// A tensor of `shape` with every element `value`.
pub fn fill(graph: &mut Graph, shape: &[usize], value: f32) -> Result<Var, GraphError> {
    graph.add1(Fill { ty: TensorType::f32(shape), value }, &[])
}
