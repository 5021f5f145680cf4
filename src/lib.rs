//! Masked autoencoders (He et al. 2021) that train and run on any GPU.
//!
//! Everything numeric runs in WGSL compute shaders of this crate, dispatched through `wgpu`.
//! A program that uses the crate as a library needs [`session`] to train, [`train`] to rebuild pictures, [`probe`] for
//! features, and [`data`], [`gpu`], [`weights`] and the shapes of models in [`mae`] with them; `hub`, behind the feature of
//! that name, fetches models of the Hugging Face hub. `Cargo.toml` tells which features there are: none is needed for what
//! follows. The other rooms are the engine's inside, which may change at any time; `docs/design.md` tells what lies where.
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
//!
//! To compute features of all pictures of a set, by weights of any layout:
//!
//! ```no_run
//! use unmask::data;
//! use unmask::gpu::{Gpu, GpuOptions};
//! use unmask::probe::{EmbedOptions, Embedder, Start};
//! use unmask::train::{Hints, Opened, TrainError};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = Opened::open("runs/first".as_ref(), &Hints::default())?;
//! let (source, _) = data::open_all(&["pictures".to_owned()])?;
//! let gpu = pollster::block_on(Gpu::open(&GpuOptions::default()))?;
//! let start = Start::Weights(&model.weights);
//! let embedder = pollster::block_on(Embedder::new(gpu, &model.config, start, EmbedOptions::default()))?;
//! let all = (0..source.len()).collect();
//! let embedding = embedder.embed_all(source.clone(), all, |index, features| {
//!     println!("{}: {features:?}", source.name(index));
//!     Ok::<(), TrainError>(())
//! });
//! let skipped = pollster::block_on(embedding)?;
//! println!("{skipped} pictures could not be decoded");
//! # Ok(())
//! # }
//! ```

pub mod data;
pub mod gpu;
#[cfg(all(feature = "hub", not(target_arch = "wasm32")))]
pub mod hub;
pub mod mae;
pub mod probe;
pub mod session;
pub mod train;
pub mod weights;

// Public for the program, the page and the tests alone. The rooms import only downwards: see `tests/floors.rs`.
#[cfg(feature = "app")]
#[doc(hidden)]
pub mod app;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[cfg(all(feature = "app", not(target_arch = "wasm32")))]
#[doc(hidden)]
pub mod desktop;
#[doc(hidden)]
pub mod eval;
#[doc(hidden)]
pub mod graph;
#[doc(hidden)]
pub mod nn;
#[doc(hidden)]
pub mod ops;
#[doc(hidden)]
pub mod platform;
#[doc(hidden)]
pub mod shaders;
#[cfg(all(feature = "app", target_arch = "wasm32"))]
#[doc(hidden)]
pub mod web;
