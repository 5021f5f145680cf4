//! How far each predicted patch is from the picture.

use super::inputs::Holds::Floats;
use super::inputs::check;
use super::resample::PixelNorm;
use crate::gpu::KernelKey;
use crate::graph::{Graph, GraphError, Launcher, Op, TensorType, Var};

uniform!(
    /// Uniform of the kernel.
    Params in "patch_error" {
        length: u32, across: u32, side: u32, patch_side: u32,
        deviation_red: f32, deviation_green: f32, deviation_blue: f32,
    }
);

/// `image` f32 `[B, 3, S, S]`, `pred` f32 `[B, L, patch² 3]` and, to denormalise, `stats` f32 `[B * L, 2]` to errors
/// f32 `[B, L, 2]`: the mean square of `pred - image` in each patch, in normalised units and in colours of 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PatchError {
    /// Side of a patch in pixels; divides S.
    pub patch: usize,
    /// Whether predictions are first brought back by `stats`, mean and deviation of each patch.
    pub denormalise: bool,
    /// What colours between 0 and 1 were divided by.
    pub std: [f32; 3],
}

impl Op for PatchError {
    fn name(&self) -> &'static str {
        "patch_error"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let names = [("image", Floats), ("pred", Floats), ("stats", Floats)];
        check(inputs, &names[..2 + usize::from(self.denormalise)])?;
        let [b, 3, s, w] = *inputs[0].shape else {
            return Err(format!("expected an image [B, 3, S, S], got {:?}", inputs[0].shape));
        };
        let p = self.patch;
        if s != w || p == 0 || !s.is_multiple_of(p) {
            return Err(format!("patches of side {p} do not tile square pictures of {s} x {w}"));
        }
        let patches = (s / p) * (s / p);
        let wanted = [vec![b, 3, s, s], vec![b, patches, p * p * 3], vec![b * patches, 2]];
        for (index, (got, wanted)) in inputs.iter().zip(&wanted).enumerate() {
            if **got != TensorType::f32(wanted) {
                return Err(format!("input {index} is {:?} {:?}, expected F32 {wanted:?}", got.dtype, got.shape));
            }
        }
        Ok(vec![TensorType::f32(&[b, patches, 2])])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let length = launcher.output_type(0).len() / 2;
        let (workgroups, across) = launcher.spread(length, 64);
        let params = Params {
            length: length as u32,
            across,
            side: launcher.input_type(0).last() as u32,
            patch_side: self.patch as u32,
            deviation_red: self.std[0],
            deviation_green: self.std[1],
            deviation_blue: self.std[2],
        };
        let mut args = vec![launcher.input(0), launcher.input(1), launcher.output(0)];
        if self.denormalise {
            args.push(launcher.input(2));
        }
        launcher.call(KernelKey::new("patch_error").when("DENORMALISE", self.denormalise), &params, &args, workgroups)
    }
}

/// Errors `[B, L, 2]` of the predicted patches of pictures normalised by `norm`; predictions are denormalised where
/// `stats` are given. See [`PatchError`].
pub fn patch_error(
    graph: &mut Graph,
    image: Var,
    pred: Var,
    stats: Option<Var>,
    patch: usize,
    norm: PixelNorm,
) -> Result<Var, GraphError> {
    let op = PatchError { patch, denormalise: stats.is_some(), std: norm.std };
    let inputs: Vec<Var> = [image, pred].into_iter().chain(stats).collect();
    graph.add1(op, &inputs)
}
