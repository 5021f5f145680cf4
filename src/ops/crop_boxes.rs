//! Where pictures are cut before they are resampled.

use crate::gpu::KernelKey;
use crate::graph::{Graph, GraphError, Launcher, Op, TensorType, Var};

uniform!(
    /// Uniform of the kernel.
    Params in "crop_boxes" {
        batch: u32, scale_min: f32, scale_max: f32, ratio_min: f32, ratio_max: f32, flip: u32,
    }
);

/// How a picture is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CropMode {
    /// Random resized crop: a share of the area, an aspect ratio (width / height), and whether to flip half of them.
    Random {
        /// Smallest and largest share of the picture's area.
        scale: [f32; 2],
        /// Smallest and largest aspect ratio.
        ratio: [f32; 2],
        /// Flip left and right with even chances.
        flip: bool,
    },
    /// The largest centred square.
    CentreSquare,
    /// All of it, squashed.
    Whole,
}

impl CropMode {
    /// The paper's augmentation (He et al. 2021, appendix A.1).
    pub const PAPER: CropMode = CropMode::Random { scale: [0.2, 1.0], ratio: [3.0 / 4.0, 4.0 / 3.0], flip: true };
}

/// `sizes` u32 `[B, 4]` (width, height, unused, unused) and `step` u32 `[4]` (seed, step, stream, 0) to `boxes [B, 8]`:
/// x, y, width, height in pixels, 1 for a flip, and three unused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CropBoxes {
    /// How pictures are cut.
    pub mode: CropMode,
}

impl Op for CropBoxes {
    fn name(&self) -> &'static str {
        "crop_boxes"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        match inputs {
            [sizes, step] if sizes.last() == 4 && step.len() == 4 => Ok(vec![TensorType::f32(&[sizes.rows(), 8])]),
            _ => Err("expected sizes [B, 4] and a step of 4 u32".to_owned()),
        }
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let batch = launcher.input_type(0).rows();
        let mut params = Params { batch: batch as u32, ..Params::default() };
        let mut args = vec![(1, launcher.input(0)), (3, launcher.output(0))];
        if let CropMode::Random { scale, ratio, flip } = self.mode {
            args.push((2, launcher.input(1)));
            [params.scale_min, params.scale_max] = scale;
            [params.ratio_min, params.ratio_max] = ratio;
            params.flip = u32::from(flip);
        }
        let key = KernelKey::new("crop_boxes")
            .when("RANDOM", matches!(self.mode, CropMode::Random { .. }))
            .when("WHOLE", self.mode == CropMode::Whole);
        launcher.call_at(key, &params, &args, [batch.div_ceil(64) as u32, 1, 1])
    }
}

/// Boxes `[B, 8]`; see [`CropBoxes`].
pub fn crop_boxes(graph: &mut Graph, sizes: Var, step: Var, mode: CropMode) -> Result<Var, GraphError> {
    graph.add1(CropBoxes { mode }, &[sizes, step])
}
