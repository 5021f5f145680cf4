//! Masked autoencoders (He et al. 2021) that train and run on any GPU.
//!
//! Everything numeric runs in WGSL compute shaders of this crate, dispatched through `wgpu`.
//! The rooms below import only downwards; `tests/floors.rs` holds them to it.

pub mod data;
pub mod eval;
pub mod gpu;
pub mod graph;
pub mod mae;
pub mod nn;
pub mod ops;
pub mod platform;
pub mod probe;
pub mod session;
pub mod shaders;
pub mod train;
pub mod weights;

#[cfg(feature = "app")]
pub mod app;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(all(feature = "app", not(target_arch = "wasm32")))]
pub mod desktop;
#[cfg(all(feature = "hub", not(target_arch = "wasm32")))]
pub mod hub;
#[cfg(all(feature = "app", target_arch = "wasm32"))]
pub mod web;
