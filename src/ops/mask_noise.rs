//! Noise that decides which patches get hidden, drawn on the device.

use serde::{Deserialize, Serialize};

use crate::gpu::KernelKey;
use crate::graph::{GraphError, Launcher, Op, TensorType};

uniform!(
    /// Uniform of the kernel.
    Params in "mask_noise" { length: u32, row: u32, grid: u32, hidden: u32 }
);

/// How hidden patches are chosen (He et al. 2021, table 1f and figure 6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaskStrategy {
    /// Uniformly, patch by patch.
    #[default]
    Random,
    /// In large rectangles.
    Block,
    /// All but one of every 2 x 2 at 75 %; other ratios hide or show more at random.
    Grid,
}

/// `step` u32 `[4]` (seed, step, stream, 0) to noise `[batch, grid²]`; the `hidden` largest get hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaskNoise {
    /// How patches are chosen.
    pub strategy: MaskStrategy,
    /// Pictures.
    pub batch: usize,
    /// Patches along a side.
    pub grid: usize,
    /// Patches that get hidden in each picture.
    pub hidden: usize,
}

impl Op for MaskNoise {
    fn name(&self) -> &'static str {
        "mask_noise"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        match inputs {
            [step] if **step == TensorType::u32(&[4]) => {
                Ok(vec![TensorType::f32(&[self.batch, self.grid * self.grid])])
            }
            _ => Err("expected a step of 4 u32".to_owned()),
        }
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let length = launcher.output_type(0).len();
        let (workgroups, row) = launcher.spread(length, 64);
        let params = Params { length: length as u32, row, grid: self.grid as u32, hidden: self.hidden as u32 };
        let key = KernelKey::new("mask_noise")
            .when("BLOCK", self.strategy == MaskStrategy::Block)
            .when("GRID", self.strategy == MaskStrategy::Grid);
        launcher.call(key, &params, &[launcher.input(0), launcher.output(0)], workgroups)
    }
}
