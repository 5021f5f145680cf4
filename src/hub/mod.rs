//! Weights from the Hugging Face hub, kept in the cache that its other clients share. Not for browsers: a page fetches
//! by itself.

mod address;
mod cache;
mod download;
mod error;
mod fetch;
mod listing;
mod options;

pub use address::{Address, PREFIX};
pub use error::HubError;
pub use fetch::{Fetched, Progress, fetch};
pub use options::Options;
