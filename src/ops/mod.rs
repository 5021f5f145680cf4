//! One op a file: shape rule, gradient rule, kernel launch. Each shader bears the name of its op.

#[macro_use]
mod uniform;

mod accumulate;
mod adamw;
mod add;
mod attention;
mod calculus;
mod column_sum;
mod concat_rows;
mod crop_boxes;
mod fill;
mod gather_rows;
mod gelu;
mod global_norm;
mod layer_norm;
mod mask_noise;
mod mask_rank;
mod masked_mse;
mod matmul;
mod normalise_patches;
mod patchify;
mod peak;
mod preview;
mod resample;
mod shard;
mod slice_rows;
mod softmax;
mod specialised;

pub use accumulate::push_accumulate;
pub use adamw::{AdamW, AdamWShard, DECAY_BLOCK};
pub use add::{Add, add};
pub use attention::{Attention, AttentionGradient, Variant, attention};
pub use calculus::{gradients, gradients_from};
pub use column_sum::{ColumnSum, column_sum};
pub use concat_rows::{ConcatRows, concat_rows};
pub use crop_boxes::{CropBoxes, CropMode, crop_boxes};
pub use fill::{Fill, fill};
pub use gather_rows::{GatherRows, gather_rows};
pub use gelu::{Gelu, GeluGradient, gelu};
pub use global_norm::{global_norm_partials, push_global_norm};
pub use layer_norm::{LayerNorm, LayerNormColumns, LayerNormGradient, layer_norm};
pub use mask_noise::{MaskNoise, MaskStrategy};
pub use mask_rank::{MaskRank, mask_rank};
pub use masked_mse::{MaskedMse, MaskedMseGradient, MaskedMseVars, masked_mse};
pub use matmul::{Form, MatMul, TILES, Tile, batched_matmul, matmul};
pub use normalise_patches::{NormalisePatches, normalise_patches};
pub use patchify::{PatchOrder, Patchify, Unpatchify, patchify, unpatchify};
pub use peak::{Peak, push_peak_copy, push_peak_fma};
pub use preview::{PANELS, Preview, preview};
pub use resample::{PIXEL_MEAN, PIXEL_STD, Resample, resample};
pub use slice_rows::{SliceRows, slice_rows};
pub use softmax::{Softmax, SoftmaxGradient, softmax};
pub use specialised::specialised;
pub use uniform::{UniformLayout, layouts};
