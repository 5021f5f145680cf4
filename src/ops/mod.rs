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
mod softmax;

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
pub use softmax::{Softmax, SoftmaxGradient, softmax};
pub use uniform::{UniformLayout, layouts};
