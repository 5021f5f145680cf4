//! Tensors in another element type.

use super::inputs::Holds::Floats;
use super::inputs::take;
use super::rows::vectors;
use super::shard::spread;
use crate::gpu::{BufferSlice, DispatchList, Gpu, GpuError, KernelKey};
use crate::graph::{Arg, DType, Graph, GraphError, Launcher, Node, Op, TensorType, Var};

uniform!(
    /// Uniform of the kernel.
    Params in "cast" { length: u32, groups: u32 }
);

/// Vectors that a workgroup casts.
const GROUP: u32 = 256 * 4;

/// `x` with elements of another floating-point type, rounded to nearest where it is the narrower one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cast {
    /// Type of the result's elements.
    pub to: DType,
}

impl Op for Cast {
    fn name(&self) -> &'static str {
        "cast"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [x] = take(inputs, [("x", Floats)])?;
        if self.to == DType::U32 {
            return Err(format!("{:?} cannot be cast to {:?}", x.dtype, self.to));
        }
        Ok(vec![x.clone().of(self.to)])
    }

    /// The gradient itself: where it has to be of the input's type, differentiation sees to it.
    fn gradient(
        &self,
        _graph: &mut Graph,
        _node: &Node,
        grads: &[Option<Var>],
        _wants: &[bool],
    ) -> Result<Vec<Option<Var>>, GraphError> {
        Ok(vec![grads[0]])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let length = launcher.output_type(0).len();
        cast_call(launcher, launcher.input(0), launcher.output(0), length)
    }
}

/// Adds a copy of the shard `x`, f32, into `y`, in 16 bits, to `list`.
pub fn push_cast(gpu: &Gpu, list: &mut DispatchList, x: &BufferSlice, y: &BufferSlice) -> Result<(), GpuError> {
    let (length, scalar) = vectors((x.bytes / 4) as usize);
    let (workgroups, _) = spread(gpu, length, GROUP);
    let params = Params { length: length as u32, groups: workgroups[0] };
    let key = KernelKey::new("cast").when("SCALAR", scalar).halves(vec![2]);
    list.push(gpu, "cast", &key, bytemuck::bytes_of(&params), &[(1, x.clone()), (2, y.clone())], workgroups)
}

/// The launch that casts `x` of `length` elements into `y`, for use inside other ops.
pub(super) fn cast_call(launcher: &mut Launcher<'_>, x: Arg, y: Arg, length: usize) -> Result<(), GraphError> {
    let (length, scalar) = vectors(length);
    let (workgroups, _) = launcher.spread(length, GROUP);
    let params = Params { length: length as u32, groups: workgroups[0] };
    launcher.call(KernelKey::new("cast").when("SCALAR", scalar), &params, &[x, y], workgroups)
}

/// `x` in elements of type `to`: `x` itself where it is of that type.
pub fn cast(graph: &mut Graph, x: Var, to: DType) -> Result<Var, GraphError> {
    if graph.ty(x).dtype == to { Ok(x) } else { graph.add1(Cast { to }, &[x]) }
}
