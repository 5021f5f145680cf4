//! Errors of building and planning graphs.

use crate::gpu::GpuError;

/// What can be wrong with a graph.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// Inputs whose shapes do not go together.
    #[error("{op}: {reason}")]
    Shape {
        /// Name of the op.
        op: &'static str,
        /// What was given and what was expected.
        reason: String,
    },
    /// A gradient that an op does not have.
    #[error("{op} has no gradient for its input {input}")]
    NoGradient {
        /// Name of the op.
        op: &'static str,
        /// Index of the input.
        input: usize,
    },
    /// A gradient that comes in where an op lets none through.
    #[error("{op} lets no gradient through its output {output}")]
    NoGradientThrough {
        /// Name of the op.
        op: &'static str,
        /// Name of the output.
        output: &'static str,
    },
    /// A tensor larger than one binding.
    #[error(
        "a tensor of {op}, shape {shape:?}, takes {bytes} bytes, but the adapter binds at most {limit} bytes at once"
    )]
    TooLarge {
        /// Name of the op that makes it, or its own where it is given.
        op: String,
        /// Its shape.
        shape: Vec<usize>,
        /// Its size.
        bytes: u64,
        /// Most bytes of a binding.
        limit: u64,
    },
    /// An op that stands before the one whose result it reads.
    #[error("{op} reads a tensor of shape {shape:?} before any op has written it")]
    ReadFirst {
        /// Name of the op.
        op: &'static str,
        /// Shape of the tensor.
        shape: Vec<usize>,
    },
    /// Tensors of 16-bit floats on an adapter that has none.
    #[error(
        "mixed precision needs 16-bit floats (shader-f16), which this adapter does not offer; expected precision f32"
    )]
    NoHalf,
    /// An external tensor without memory.
    #[error("no buffer was given for the external tensor \"{0}\"")]
    Unbound(String),
    /// An external tensor with memory of another size.
    #[error("the buffer for \"{name}\" has {got} bytes, expected {want}")]
    WrongSize {
        /// Name of the tensor.
        name: String,
        /// Bytes given.
        got: u64,
        /// Bytes expected.
        want: u64,
    },
    /// The device's own errors.
    #[error(transparent)]
    Gpu(#[from] GpuError),
}
