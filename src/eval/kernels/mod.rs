//! Every kernel against its twin in f64.

mod random;
pub mod twins;

pub use random::{Random, garbage, poison};
