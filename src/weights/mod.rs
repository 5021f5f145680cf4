//! Reading and writing tensors by name. Knows nothing of the GPU.

mod element;
mod error;
mod file;
mod harmless;
mod layout;
pub mod onnx;
mod open;
mod pickle;
mod renamed;
mod resize;
mod save;
mod shipped;
mod source;
mod tensors;
mod torch;
mod torch_save;

pub use crate::platform::Bytes;
pub use element::Element;
pub use error::WeightsError;
pub use file::{read_tensors, tensor_bytes, write_tensors};
pub use layout::{Layout, Meaning, meaning, name_in};
pub use open::{holds_weights, open_bytes, open_weights};
pub use renamed::Renamed;
pub use resize::resize_positions;
pub use save::{Output, outputs, parts_bytes, write_parts, write_safetensors};
pub use shipped::shipped;
pub use source::{Place, TensorFile, TensorSource};
pub use tensors::{Storage, Tensor, Tensors};
pub use torch_save::write_torch;
