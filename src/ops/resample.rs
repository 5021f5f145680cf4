//! Cut, resize, flip and normalise: 8-bit pixels to a model's input.

use super::inputs::Holds::{Floats, Words};
use super::inputs::take;
use crate::gpu::KernelKey;
use crate::graph::{Arg, Graph, GraphError, Launcher, Op, TensorType, Var};

uniform!(
    /// Uniform of both launches.
    Params in "resample" {
        length: u32, across: u32, slot: u32, side: u32, max_height: u32,
        mean_red: f32, mean_green: f32, mean_blue: f32,
        deviation_red: f32, deviation_green: f32, deviation_blue: f32,
    }
);

/// Mean of red, green and blue over ImageNet, of colours between 0 and 1.
pub const PIXEL_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Their standard deviation.
pub const PIXEL_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// What pixels are normalised by, channel by channel, after scaling to 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PixelNorm {
    /// Subtracted.
    pub mean: [f32; 3],
    /// Divided by.
    pub std: [f32; 3],
}

impl Default for PixelNorm {
    /// [`PIXEL_MEAN`] and [`PIXEL_STD`].
    fn default() -> Self {
        PixelNorm { mean: PIXEL_MEAN, std: PIXEL_STD }
    }
}

/// `pixels` u32 `[B, slot]`, `sizes` u32 `[B, 4]` and `boxes` f32 `[B, 8]` to `image` f32 `[B, 3, side, side]`.
///
/// Picture `b` starts at word `b * slot`: `sizes[b]` = (width, height, _, _) rows of RGBX words, red in the low byte.
/// Of it the box (x, y, width, height, flip, _, _, _; whole pixels) is resampled, bicubic with a = -0.5 and
/// antialiased, by Pillow's weights for a picture cropped to the box. Unlike Pillow on 8-bit pictures, nothing is
/// rounded on the way or at the end: colours are clamped to 0 .. 255 once, then normalised as
/// `(colour / 255 - mean) / std`. A box of `side` x `side` pixels passes unchanged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resample {
    /// Side of the result in pixels.
    pub side: usize,
    /// Height of the tallest box in pixels; a taller one loses its lowest rows.
    pub max_height: usize,
    /// Subtracted from colours between 0 and 1.
    pub mean: [f32; 3],
    /// What they are then divided by.
    pub std: [f32; 3],
}

impl Op for Resample {
    fn name(&self) -> &'static str {
        "resample"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [pixels, sizes, boxes] = take(inputs, [("pixels", Words), ("sizes", Words), ("boxes", Floats)])?;
        let (batch, slot) = (pixels.rows(), pixels.last());
        let wanted = [TensorType::u32(&[batch, slot]), TensorType::u32(&[batch, 4]), TensorType::f32(&[batch, 8])];
        if inputs.iter().zip(&wanted).any(|(got, wanted)| *got != wanted) {
            return Err(format!(
                "expected pixels u32 [B, slot], sizes u32 [B, 4] and boxes f32 [B, 8], got {:?} {:?}, {:?} {:?} and \
                 {:?} {:?}",
                pixels.dtype, pixels.shape, sizes.dtype, sizes.shape, boxes.dtype, boxes.shape
            ));
        }
        if self.side == 0 || self.max_height == 0 || slot == 0 {
            return Err(format!("cannot resample {} rows in slots of {slot} to {}", self.max_height, self.side));
        }
        Ok(vec![TensorType::f32(&[batch, 3, self.side, self.side])])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let (batch, slot) = (launcher.input_type(0).rows(), launcher.input_type(0).last());
        let lines = launcher.scratch(TensorType::f32(&[batch, 3, self.max_height, self.side]));
        let (pixels, image) = (launcher.input(0), launcher.output(0));
        self.pass(launcher, slot, batch * self.max_height, [pixels, lines], false)?;
        self.pass(launcher, slot, batch * self.side, [lines, image], true)
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        // About four taps a pixel and pass, each a weight of ten operations and six for the colours.
        inputs[0].rows() as u64 * (self.side * (self.side + self.max_height)) as u64 * 4 * 16
    }
}

impl Resample {
    fn pass(
        &self,
        launcher: &mut Launcher<'_>,
        slot: usize,
        rows: usize,
        [from, to]: [Arg; 2],
        vertical: bool,
    ) -> Result<(), GraphError> {
        let length = rows * self.side;
        let (workgroups, across) = launcher.spread(length, 64);
        let params = Params {
            length: length as u32,
            across,
            slot: slot as u32,
            side: self.side as u32,
            max_height: self.max_height as u32,
            mean_red: self.mean[0],
            mean_green: self.mean[1],
            mean_blue: self.mean[2],
            deviation_red: self.std[0],
            deviation_green: self.std[1],
            deviation_blue: self.std[2],
        };
        let key = KernelKey::new("resample").when("VERTICAL", vertical);
        launcher.call(key, &params, &[launcher.input(1), launcher.input(2), from, to], workgroups)
    }
}

/// Pictures cut to `boxes`, resampled to `side` x `side` and normalised by `norm`; see [`Resample`].
pub fn resample(
    graph: &mut Graph,
    pixels: Var,
    sizes: Var,
    boxes: Var,
    side: usize,
    max_height: usize,
    norm: PixelNorm,
) -> Result<Var, GraphError> {
    graph.add1(Resample { side, max_height, mean: norm.mean, std: norm.std }, &[pixels, sizes, boxes])
}
