//! One op a file: shape rule, gradient rule, kernel launch. Each shader bears the name of its op.

#[macro_use]
mod uniform;

mod add;
mod calculus;
mod column_sum;
mod crop_boxes;
mod fill;
mod gelu;

pub use add::{Add, add};
pub use calculus::{gradients, gradients_from};
pub use column_sum::{ColumnSum, column_sum};
pub use crop_boxes::{CropBoxes, CropMode, crop_boxes};
pub use fill::{Fill, fill};
pub use gelu::{Gelu, GeluGradient, gelu};
pub use uniform::{UniformLayout, layouts};
