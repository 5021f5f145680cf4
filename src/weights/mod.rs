//! Reading and writing tensors by name. Knows nothing of the GPU.

mod error;
mod file;
mod shipped;
mod tensors;

pub use error::WeightsError;
pub use file::{read_tensors, tensor_bytes, write_tensors};
pub use shipped::shipped;
pub use tensors::{Storage, Tensor, Tensors};
