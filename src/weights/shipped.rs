//! The model that comes with the program.

use super::{Tensors, WeightsError, read_tensors};
use crate::platform;

/// The shipped weights of the `micro` model, see `docs/model-card.md`.
///
/// # Errors
/// None that a build which passed its tests can give, on a page none once its files are provided.
pub fn shipped() -> Result<Tensors, WeightsError> {
    read_tensors("the built-in micro weights", platform::asset("weights/micro.safetensors").unwrap_or_default())
}
