//! Crop, resize, flip and normalise: 8-bit pixels to a model's input.

use crate::gpu::KernelKey;
use crate::graph::{DType, Graph, GraphError, Launcher, Op, TensorType, Var};

uniform!(
    /// Uniform of both launches.
    Params in "resample" { length: u32, row: u32, slot: u32, side: u32, max_height: u32 }
);

/// Mean of red, green and blue over ImageNet, of pixels between 0 and 1.
pub const PIXEL_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Their standard deviation.
pub const PIXEL_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// `pixels` u32 `[B, slot]` (RGBX, rows of the picture's width), `sizes` u32 `[B, 4]` and `boxes [B, 8]` to
/// `image [B, 3, side, side]`, normalised by [`PIXEL_MEAN`] and [`PIXEL_STD`].
///
/// Bicubic with antialiasing, a = -0.5, as Pillow resizes; not rounded to 8 bits in between. A box of `side` pixels
/// passes unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resample {
    /// Side of the result, pixels.
    pub side: usize,
    /// Rows of the tallest picture.
    pub max_height: usize,
}

impl Op for Resample {
    fn name(&self) -> &'static str {
        "resample"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [pixels, sizes, boxes] = inputs else { return Err(format!("takes three tensors, got {}", inputs.len())) };
        let batch = pixels.rows();
        if pixels.dtype != DType::U32 || sizes.shape != [batch, 4] || boxes.shape != [batch, 8] {
            return Err(format!(
                "pixels {:?}, sizes {:?} and boxes {:?} do not belong together",
                pixels.shape, sizes.shape, boxes.shape
            ));
        }
        Ok(vec![TensorType::f32(&[batch, 3, self.side, self.side])])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let (batch, slot) = (launcher.input_type(0).rows(), launcher.input_type(0).last());
        let lines = launcher.scratch(TensorType::f32(&[batch, 3, self.max_height, self.side]));
        let (pixels, sizes, boxes, image) =
            (launcher.input(0), launcher.input(1), launcher.input(2), launcher.output(0));
        let mut pass = |rows: usize, vertical: bool, args: &[_]| {
            let length = batch * rows * self.side;
            let (workgroups, row) = launcher.spread(length, 64);
            let params = Params {
                length: length as u32,
                row,
                slot: slot as u32,
                side: self.side as u32,
                max_height: self.max_height as u32,
            };
            launcher.call_at(KernelKey::new("resample").when("VERTICAL", vertical), &params, args, workgroups)
        };
        pass(self.max_height, false, &[(1, pixels), (2, sizes), (3, boxes), (4, lines)])?;
        pass(self.side, true, &[(3, boxes), (4, lines), (5, image)])
    }
}

/// Pictures cut by `boxes`, resampled to `side` and normalised; see [`Resample`].
pub fn resample(
    graph: &mut Graph,
    pixels: Var,
    sizes: Var,
    boxes: Var,
    side: usize,
    max_height: usize,
) -> Result<Var, GraphError> {
    graph.add1(Resample { side, max_height }, &[pixels, sizes, boxes])
}
