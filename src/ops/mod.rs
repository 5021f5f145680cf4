//! One op a file: shape rule, gradient rule, kernel launch. Each shader bears the name of its op.

#[macro_use]
mod uniform;

mod accumulate;
mod adamw;
mod add;
mod attention;
mod calculus;
mod column_sum;
mod crop_boxes;
mod fill;
mod gather_rows;
mod gelu;
mod mask_noise;
mod mask_rank;
mod normalise_patches;
mod patchify;
mod preview;
mod resample;

pub use accumulate::push_accumulate;
pub use adamw::{AdamW, AdamWShard, DECAY_BLOCK};
pub use add::{Add, add};
pub use attention::{Attention, AttentionGradient, attention};
pub use calculus::{gradients, gradients_from};
pub use column_sum::{ColumnSum, column_sum};
pub use crop_boxes::{CropBoxes, CropMode, crop_boxes};
pub use fill::{Fill, fill};
pub use gather_rows::{GatherRows, gather_rows};
pub use gelu::{Gelu, GeluGradient, gelu};
pub use mask_noise::{MaskNoise, MaskStrategy};
pub use mask_rank::{MaskRank, mask_rank};
pub use normalise_patches::{NormalisePatches, normalise_patches};
pub use patchify::{PatchOrder, Patchify, Unpatchify, patchify, unpatchify};
pub use preview::{PANELS, Preview, preview};
pub use resample::{PIXEL_MEAN, PIXEL_STD, Resample, resample};
pub use uniform::{UniformLayout, layouts};
