//! One op a file: shape rule, gradient rule, kernel launch. Each shader bears the name of its op.

#[macro_use]
mod uniform;

mod add;
mod attention;
mod calculus;
mod column_sum;
mod fill;
mod gelu;
mod softmax;

pub use add::{Add, add};
pub use attention::{Attention, AttentionGradient, Variant, attention};
pub use calculus::{gradients, gradients_from};
pub use column_sum::{ColumnSum, column_sum};
pub use fill::{Fill, fill};
pub use gelu::{Gelu, GeluGradient, gelu};
pub use softmax::{Softmax, SoftmaxGradient, softmax};
pub use uniform::{UniformLayout, layouts};
