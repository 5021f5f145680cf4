//! The model that comes with the program.

use super::{Tensors, WeightsError, read_tensors};

static MICRO: &[u8] = include_bytes!("../../assets/weights/micro.safetensors");

/// The shipped weights of the `micro` model, see `docs/model-card.md`.
///
/// # Errors
/// None that a build which passed its tests can give.
pub fn shipped() -> Result<Tensors, WeightsError> {
    read_tensors("the built-in micro weights", MICRO)
}
