//! The device: adapter choice, limits, pipelines, buffers, uploads and readback. Knows nothing of learning.

mod adapter;
mod buffer;
mod compile;
mod device;
mod error;
mod kernel;
mod matrix_units;
mod pace;
mod progress;
mod registers;
mod run;
mod submit;
mod texture;
mod timestamps;
mod uniforms;
mod verdict;

pub use adapter::{AdapterRequest, AdapterSummary, adapters};
pub use buffer::{BufferSlice, OwnedBuffer, Uploads};
pub use compile::Compiling;
pub use device::{Gpu, GpuOptions};
pub use error::GpuError;
pub use kernel::{Kernel, KernelKey};
pub use matrix_units::MatrixUnits;
pub use pace::{MAX_SUBMIT, Pace};
pub use progress::Mark;
pub use run::{Dispatch, DispatchList, Slices, Work};
pub use texture::OwnedTexture;
pub use timestamps::{Timestamps, TimestampsReading};
pub use verdict::Verdict;
