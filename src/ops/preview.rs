//! Pictures, their masks and reconstructions side by side, for people to look at.

use super::inputs::Holds::Floats;
use super::inputs::check;
use super::resample::PixelNorm;
use crate::gpu::KernelKey;
use crate::graph::{Graph, GraphError, Launcher, Op, TensorType, Var};

uniform!(
    /// Uniform of the kernel.
    Params in "preview" {
        length: u32, across: u32, side: u32, patch_side: u32,
        mean_red: f32, mean_green: f32, mean_blue: f32,
        deviation_red: f32, deviation_green: f32, deviation_blue: f32,
    }
);

/// Panels of a strip: visible patches on grey, reconstruction, reconstruction with visible patches, original.
pub const PANELS: usize = 4;

/// `image` f32 `[B, 3, S, S]`, `pred` f32 `[B, L, patch² 3]`, `mask` f32 `[B, L]` and, to denormalise, `stats` f32
/// `[B * L, 2]` to strips u32 `[B, S, PANELS * S]` of RGBX, red in the low byte and X = 255.
///
/// `image` and `pred` are normalised; `pred` lies rows, columns, channels within a patch; `mask` is 1 where hidden.
/// Statistics of the original are not known from visible patches alone, so a denormalised reconstruction shows each
/// patch's true mean and contrast, whatever was predicted (He et al. 2021, figure 2, uses unnormalised predictions).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preview {
    /// Side of a patch in pixels; divides S.
    pub patch: usize,
    /// Whether predictions are first brought back by `stats`, mean and deviation of each patch.
    pub denormalise: bool,
    /// Mean that was subtracted from colours between 0 and 1.
    pub mean: [f32; 3],
    /// What they were then divided by.
    pub std: [f32; 3],
}

impl Op for Preview {
    fn name(&self) -> &'static str {
        "preview"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let names = [("image", Floats), ("pred", Floats), ("mask", Floats), ("stats", Floats)];
        check(inputs, &names[..3 + usize::from(self.denormalise)])?;
        let [b, 3, s, w] = *inputs[0].shape else {
            return Err(format!("expected an image [B, 3, S, S], got {:?}", inputs[0].shape));
        };
        let p = self.patch;
        if s != w || p == 0 || !s.is_multiple_of(p) {
            return Err(format!("patches of side {p} do not tile square pictures of {s} x {w}"));
        }
        let patches = (s / p) * (s / p);
        let wanted = [vec![b, 3, s, s], vec![b, patches, p * p * 3], vec![b, patches], vec![b * patches, 2]];
        for (index, (got, wanted)) in inputs.iter().zip(&wanted).enumerate() {
            if **got != TensorType::f32(wanted) {
                return Err(format!("input {index} is {:?} {:?}, expected F32 {wanted:?}", got.dtype, got.shape));
            }
        }
        Ok(vec![TensorType::u32(&[b, s, PANELS * s])])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let length = launcher.input_type(0).len() / 3;
        let (workgroups, across) = launcher.spread(length, 64);
        let params = Params {
            length: length as u32,
            across,
            side: launcher.input_type(0).last() as u32,
            patch_side: self.patch as u32,
            mean_red: self.mean[0],
            mean_green: self.mean[1],
            mean_blue: self.mean[2],
            deviation_red: self.std[0],
            deviation_green: self.std[1],
            deviation_blue: self.std[2],
        };
        let mut args = vec![launcher.input(0), launcher.input(1), launcher.input(2), launcher.output(0)];
        if self.denormalise {
            args.push(launcher.input(3));
        }
        launcher.call(KernelKey::new("preview").when("DENORMALISE", self.denormalise), &params, &args, workgroups)
    }
}

/// Strips `[B, S, PANELS * S]` of pictures normalised by `norm`; predictions are denormalised where `stats` are
/// given. See [`Preview`].
pub fn preview(
    graph: &mut Graph,
    image: Var,
    pred: Var,
    mask: Var,
    stats: Option<Var>,
    patch: usize,
    norm: PixelNorm,
) -> Result<Var, GraphError> {
    let op = Preview { patch, denormalise: stats.is_some(), mean: norm.mean, std: norm.std };
    let inputs: Vec<Var> = [image, pred, mask].into_iter().chain(stats).collect();
    graph.add1(op, &inputs)
}
