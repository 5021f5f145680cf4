//! The masked autoencoder: presets, encoder, decoder, masking and losses. Knows no files.

mod config;
mod error;
mod masking;
mod model;
mod presets;

pub use config::MaeConfig;
pub use error::MaeError;
pub use masking::{Masks, given_masks, random_masks, raster_noise};
pub use model::{EncoderVars, MaeVars, autoencoder, encoder, hidden_loss, pretraining};
pub use presets::{PRESETS, Preset, preset};

#[doc(inline)]
pub use crate::ops::MaskStrategy;
