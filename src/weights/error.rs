//! Errors of reading and writing weights.

/// What can be wrong with a file of weights.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not a safetensors file, or a damaged one.
    #[error("{path}: not a whole safetensors file: {reason}")]
    Format {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// Not a file of `torch.save`, or one that holds more than tensors.
    #[error("{path}: not a checkpoint that can be read: {reason}")]
    Torch {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// Tensors that make no model.
    #[error("{path}: {reason}")]
    Layout {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// An element type that weights do not have.
    #[error("{path}: tensor \"{name}\" has element type {dtype}; expected F32, F16, BF16, F64, I32, U32, I64 or U8")]
    Type {
        /// The file.
        path: String,
        /// The tensor.
        name: String,
        /// Its type.
        dtype: String,
    },
    /// A tensor that should be there.
    #[error("{path}: tensor \"{name}\" is missing; expected shape {shape:?}")]
    Missing {
        /// The file.
        path: String,
        /// The tensor.
        name: String,
        /// Expected shape.
        shape: Vec<usize>,
    },
    /// A tensor of another shape.
    #[error("{path}: tensor \"{name}\" has shape {got:?}, expected {want:?}")]
    Shape {
        /// The file.
        path: String,
        /// The tensor.
        name: String,
        /// Its shape.
        got: Vec<usize>,
        /// Expected shape.
        want: Vec<usize>,
    },
    /// A number that is none.
    #[error(
        "{path}: tensor \"{name}\" holds {value}; expected finite numbers: training went wrong, or the file is damaged"
    )]
    NotFinite {
        /// The file.
        path: String,
        /// The tensor.
        name: String,
        /// What it holds.
        value: f32,
    },
    /// A number that 16-bit floats cannot hold.
    #[error("{path}: tensor \"{name}\" holds {value}, which 16-bit floats cannot: expected less than 65520")]
    Range {
        /// The file.
        path: String,
        /// The tensor.
        name: String,
        /// The number.
        value: f32,
    },
    /// Metadata that should be there, or that makes no sense.
    #[error("{path}: metadata \"{key}\": {reason}")]
    Metadata {
        /// The file.
        path: String,
        /// The key.
        key: String,
        /// What is wrong.
        reason: String,
    },
}
