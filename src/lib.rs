//! Masked autoencoders (He et al. 2021) that train and run on any GPU.
//!
//! Everything numeric runs in WGSL compute shaders of this crate, dispatched through `wgpu`.
//! The rooms below import only downwards; `tests/floors.rs` holds them to it. A program that uses the crate as a library
//! needs [`session`] to train, [`train`] to rebuild pictures, [`probe`] for features, and [`data`], [`gpu`] and
//! [`weights`] with them; what these hand out is documented where it is defined. `Cargo.toml` tells which features there
//! are: none is needed for what follows.
//!
//! To rebuild a picture of which three quarters are hidden:
//!
//! ```no_run
//! use unmask::data;
//! use unmask::gpu::{Gpu, GpuOptions};
//! use unmask::train::{Hidden, Opened, Reconstructor};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let gpu = pollster::block_on(Gpu::open(&GpuOptions::default()))?;
//! let mut model = pollster::block_on(Reconstructor::new(gpu, &Opened::shipped()?))?;
//! let picture = data::decode("cat.jpg", &std::fs::read("cat.jpg")?, Some(model.decode_limit()))?;
//! let hidden = Hidden::Ratio { strategy: None, ratio: 0.75, seed: 7 };
//! let rebuilt = pollster::block_on(model.reconstruct(picture, &hidden))?;
//! println!("{:?} dB", rebuilt.hidden_psnr_db);
//! # Ok(())
//! # }
//! ```
//!
//! To train: the session works on a thread of its own, and reports until it is done.
//!
//! ```no_run
//! use unmask::session::{Event, Job, Session};
//! use unmask::train::Recipe;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut recipe = Recipe::load("micro")?;
//! recipe.train.data = vec!["pictures".to_owned()];
//! let session = Session::start(Job { out: Some("runs/first".into()), ..Job::new(recipe) })?;
//! while let Some(event) = session.wait() {
//!     match event {
//!         Event::Step(line) => println!("step {}: loss {:?}", line.step, line.loss),
//!         Event::Failed(error) => return Err(error.into()),
//!         Event::Lost(reason) => return Err(reason.into()),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```

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
