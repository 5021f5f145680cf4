//! What can go wrong between the program and the device.

/// An error of the device room.
#[derive(Debug, thiserror::Error)]
pub enum GpuError {
    /// No adapter at all, or none with the asked-for name.
    #[error("no GPU adapter{wanted} was found ({found}); {advice}")]
    NoAdapter {
        /// ` whose name contains "…"`, or nothing.
        wanted: String,
        /// What adapters there are.
        found: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// The adapter refused to give a device.
    #[error("adapter \"{adapter}\" gave no device: {reason}")]
    NoDevice {
        /// Name of the adapter.
        adapter: String,
        /// What it said.
        reason: String,
    },
    /// A buffer larger than the adapter can bind or hold.
    #[error(
        "\"{label}\" needs {bytes} bytes in one piece, but adapter \"{adapter}\" binds at most {limit} at once; \
         take a smaller batch or model"
    )]
    TooLarge {
        /// What the buffer holds.
        label: String,
        /// Its size in bytes.
        bytes: u64,
        /// Name of the adapter.
        adapter: String,
        /// Most bytes of a binding, see [`super::Gpu::max_binding`].
        limit: u64,
    },
    /// The device ran out of memory.
    #[error("adapter \"{adapter}\" is out of memory while allocating {bytes} bytes for \"{label}\"")]
    OutOfMemory {
        /// What was being allocated.
        label: String,
        /// Its size in bytes.
        bytes: u64,
        /// Name of the adapter.
        adapter: String,
    },
    /// A kernel that the device would not compile or run.
    #[error("kernel \"{kernel}\": {reason}")]
    Kernel {
        /// Name of the kernel.
        kernel: String,
        /// What the device said.
        reason: String,
    },
    /// The device went away: driver reset, sleep, crash.
    #[error("the GPU device was lost: {0}")]
    Lost(String),
    /// An error that the device raised outside any scope.
    #[error("GPU error: {0}")]
    Device(String),
    /// Reading a buffer back failed.
    #[error("reading \"{label}\" back from the GPU failed: {reason}")]
    Readback {
        /// What was read.
        label: String,
        /// What the device said.
        reason: String,
    },
}
