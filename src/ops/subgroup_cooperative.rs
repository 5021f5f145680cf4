//! How large the subgroups of kernels on matrix units are.

use super::inputs::take;
use crate::gpu::KernelKey;
use crate::graph::{GraphError, Launcher, Op, TensorType};

/// Invocations that tell, as in the shader.
const THREADS: usize = 128;

uniform!(
    /// Uniform of the kernel.
    Params in "subgroup_cooperative" { length: u32 }
);

/// The size of its subgroup by every invocation of a workgroup `[128]`, zero where subgroups are not made of invocations
/// in a row. No gradient.
#[derive(Clone, Debug, PartialEq)]
pub struct SubgroupSizes {
    /// Rows and columns of the matrices, 8 or 16.
    pub side: u32,
}

impl Op for SubgroupSizes {
    fn name(&self) -> &'static str {
        "subgroup_cooperative"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        take(inputs, [])?;
        Ok(vec![TensorType::f32(&[THREADS])])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let params = Params { length: THREADS as u32 };
        let key = KernelKey::new(self.name()).when("SIDE_16", self.side == 16);
        launcher.call(key, &params, &[launcher.output(0)], [1, 1, 1])
    }
}
