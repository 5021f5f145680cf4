//! Noise that decides which patches get hidden, drawn on the device.

use serde::{Deserialize, Serialize};

use crate::gpu::KernelKey;
use crate::graph::{GraphError, Launcher, Op, TensorType};

uniform!(
    /// Uniform of the kernel.
    Params in "mask_noise" { length: u32, across: u32, grid: u32, hidden: u32, least: u32 }
);

/// Longest side of a grid of patches: noise of rectangles counts in whole numbers, exact in f32 up to 2^24.
pub const MOST_GRID: usize = 256;

/// How hidden patches are chosen (He et al. 2021, table 1f and figure 6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaskStrategy {
    /// Uniformly, patch by patch.
    #[default]
    Random,
    /// In large rectangles.
    Block,
    /// All but the first of every 2 x 2: 75 %; to hide more or fewer, patches are added at random.
    Grid,
}

impl MaskStrategy {
    /// All there are.
    pub const ALL: [MaskStrategy; 3] = [MaskStrategy::Random, MaskStrategy::Block, MaskStrategy::Grid];

    /// What it is called in recipes, addresses and menus.
    pub fn name(self) -> &'static str {
        match self {
            MaskStrategy::Random => "random",
            MaskStrategy::Block => "block",
            MaskStrategy::Grid => "grid",
        }
    }
}

/// `step` u32 `[4]` (seed, step, stream, place of the first picture) to noise f32 `[batch, grid²]`, patches in raster order.
///
/// The `hidden` patches of a picture with the largest noise are those to hide: see [`super::MaskRank`]. Noise depends
/// on `step` and the place alone, to the bit on any adapter: a batch may be drawn in parts, each from its own place on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaskNoise {
    /// How patches are chosen.
    pub strategy: MaskStrategy,
    /// Pictures.
    pub batch: usize,
    /// Patches along a side, at most 256.
    pub grid: usize,
    /// Patches that get hidden in each picture.
    pub hidden: usize,
}

impl Op for MaskNoise {
    fn name(&self) -> &'static str {
        "mask_noise"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        if !matches!(inputs, [step] if **step == TensorType::u32(&[4])) {
            return Err("expected one input, step u32 [4]".to_owned());
        }
        let patches = self.grid * self.grid;
        if !(1..=MOST_GRID).contains(&self.grid) || self.hidden > patches {
            let (hidden, grid) = (self.hidden, self.grid);
            return Err(format!("cannot hide {hidden} patches in a grid of side {grid} (1 to {MOST_GRID})"));
        }
        Ok(vec![TensorType::f32(&[self.batch, patches])])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let block = self.strategy == MaskStrategy::Block;
        let (length, size) = if block { (self.batch, 1) } else { (launcher.output_type(0).len(), 64) };
        let (workgroups, across) = launcher.spread(length, size);
        let params = Params {
            length: length as u32,
            across,
            grid: self.grid as u32,
            hidden: self.hidden as u32,
            // 16 patches of BEiT's 14 x 14.
            least: (16 * self.grid * self.grid).div_ceil(196) as u32,
        };
        let key = KernelKey::new("mask_noise").when("BLOCK", block).when("GRID", self.strategy == MaskStrategy::Grid);
        launcher.call(key, &params, &[launcher.input(0), launcher.output(0)], workgroups)
    }
}
