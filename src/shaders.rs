//! The linked WGSL of every shader, written by `build.rs`.
