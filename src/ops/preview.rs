//! Strips for people to look at.

use crate::gpu::KernelKey;
use crate::graph::{Graph, GraphError, Launcher, Op, TensorType, Var};

uniform!(
    /// Uniform of the kernel.
    Params in "preview" { length: u32, row: u32, side: u32, patch_side: u32 }
);

/// Panels of a strip: visible patches, reconstruction, reconstruction with visible patches, original.
pub const PANELS: usize = 4;

/// `image [B, 3, S, S]`, `pred [B, L, patch² 3]`, `mask [B, L]` and, where targets were normalised, `stats [B * L, 2]`,
/// to strips `[B, S, 4 S]` of RGBX u32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preview {
    /// Side of a patch.
    pub patch: usize,
    /// Whether predictions are brought back by each patch's true mean and deviation.
    pub denormalise: bool,
}

impl Op for Preview {
    fn name(&self) -> &'static str {
        "preview"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let wanted = 3 + usize::from(self.denormalise);
        let ([b, 3, s, w], true) = (inputs[0].shape.as_slice(), inputs.len() == wanted) else {
            return Err(format!("expected {wanted} tensors, the first [B, 3, S, S], got {:?}", inputs[0].shape));
        };
        let patches = (s / self.patch) * (s / self.patch);
        if s != w || inputs[1].shape != [*b, patches, self.patch * self.patch * 3] || inputs[2].shape != [*b, patches] {
            return Err(format!(
                "image {:?}, pred {:?} and mask {:?} do not belong together",
                inputs[0].shape, inputs[1].shape, inputs[2].shape
            ));
        }
        Ok(vec![TensorType::u32(&[*b, *s, PANELS * s])])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let length = launcher.output_type(0).len();
        let (workgroups, row) = launcher.spread(length, 64);
        let side = launcher.input_type(0).last() as u32;
        let params = Params { length: length as u32, row, side, patch_side: self.patch as u32 };
        let mut args = vec![launcher.input(0), launcher.input(1), launcher.input(2), launcher.output(0)];
        if self.denormalise {
            args.push(launcher.input(3));
        }
        launcher.call(KernelKey::new("preview").when("DENORMALISE", self.denormalise), &params, &args, workgroups)
    }
}

/// Strips `[B, S, 4 S]`; predictions are de-normalised where `stats` are given. See [`Preview`].
pub fn preview(
    graph: &mut Graph,
    image: Var,
    pred: Var,
    mask: Var,
    stats: Option<Var>,
    patch: usize,
) -> Result<Var, GraphError> {
    let inputs: Vec<Var> = [image, pred, mask].into_iter().chain(stats).collect();
    graph.add1(Preview { patch, denormalise: stats.is_some() }, &inputs)
}
