//! Where pictures are cut before they are resampled.

use super::inputs::Holds::Words;
use super::inputs::take;
use crate::gpu::KernelKey;
use crate::graph::{Graph, GraphError, Launcher, Op, TensorType, Var};

uniform!(
    /// Uniform of the kernel.
    Params in "crop_boxes" {
        batch: u32, flip: u32,
        scale_min: u32, scale_max: u32,
        ratio_min: u32, ratio_max: u32,
        log_min: u32, log_max: u32,
    }
);

/// How a picture is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CropMode {
    /// Random resized crop, drawn as torchvision draws it.
    Random {
        /// Smallest and largest share of the picture's area, in (0, 1].
        scale: [f32; 2],
        /// Smallest and largest width / height, between 1/4 and 4.
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
    /// The augmentation of pre-training (He et al. 2021, appendix A.1).
    pub const PAPER: CropMode = CropMode::Random { scale: [0.2, 1.0], ratio: [3.0 / 4.0, 4.0 / 3.0], flip: true };

    /// Rows of the tallest box that is cut from pictures of at most `rows` rows and a short side of at most `short`.
    pub fn most_rows(self, rows: usize, short: usize) -> usize {
        match self {
            // No wider than the picture, and no taller than the ratio allows; both sides are rounded.
            CropMode::Random { ratio: [narrow, _], .. } => rows.min((short as f32 / narrow).ceil() as usize + 2),
            CropMode::CentreSquare => rows.min(short),
            CropMode::Whole => rows,
        }
    }
}

/// `sizes` u32 `[B, 4]` (width, height, _, _; below 2^28 pixels and 2^16 a side) and `step` u32 `[4]` (seed, step,
/// stream, _) to `boxes` f32 `[B, 8]`: x, y, width and height in whole pixels, 1 for a flip, and three zeros.
///
/// A box depends on `step`, the index of the picture in the batch and its size alone, to the bit on any adapter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CropBoxes {
    /// How pictures are cut.
    pub mode: CropMode,
}

/// In units of 2^-14.
fn fraction(x: f32) -> u32 {
    (f64::from(x) * 16384.0).round() as u32
}

/// Base-2 logarithm as the shader takes it.
fn log(x: f32) -> u32 {
    ((f64::from(x).log2() + 4.0) * 8192.0).round() as u32
}

impl Op for CropBoxes {
    fn name(&self) -> &'static str {
        "crop_boxes"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [sizes, step] = take(inputs, [("sizes", Words), ("step", Words)])?;
        let batch = sizes.rows();
        if *sizes != TensorType::u32(&[batch, 4]) || *step != TensorType::u32(&[4]) {
            return Err(format!(
                "expected sizes u32 [B, 4] and step u32 [4], got {:?} {:?} and {:?} {:?}",
                sizes.dtype, sizes.shape, step.dtype, step.shape
            ));
        }
        if let CropMode::Random { scale: [small, large], ratio: [narrow, wide], .. } = self.mode {
            if !(0.0 < small && small <= large && large <= 1.0) {
                return Err(format!("shares of the area from {small} to {large} are not within (0, 1]"));
            }
            if !(0.25 <= narrow && narrow <= wide && wide <= 4.0) {
                return Err(format!("aspect ratios from {narrow} to {wide} are not within [1/4, 4]"));
            }
        }
        Ok(vec![TensorType::f32(&[batch, 8])])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let batch = launcher.input_type(0).rows() as u32;
        let mut params = Params { batch, ..Params::default() };
        let mut args = vec![launcher.input(0), launcher.output(0)];
        if let CropMode::Random { scale, ratio, flip } = self.mode {
            args.push(launcher.input(1));
            params.flip = u32::from(flip);
            [params.scale_min, params.scale_max] = scale.map(fraction);
            [params.ratio_min, params.ratio_max] = ratio.map(fraction);
            [params.log_min, params.log_max] = ratio.map(log);
        }
        let key = KernelKey::new("crop_boxes")
            .when("RANDOM", matches!(self.mode, CropMode::Random { .. }))
            .when("WHOLE", self.mode == CropMode::Whole);
        launcher.call(key, &params, &args, [batch.div_ceil(64), 1, 1])
    }
}

/// Boxes `[B, 8]` for pictures of `sizes` at `step`; see [`CropBoxes`].
pub fn crop_boxes(graph: &mut Graph, sizes: Var, step: Var, mode: CropMode) -> Result<Var, GraphError> {
    graph.add1(CropBoxes { mode }, &[sizes, step])
}
