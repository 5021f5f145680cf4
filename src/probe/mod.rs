//! What an encoder has learned: features of whole pictures, and how well their classes can be told from them.
//!
//! The encoder stays as it is. [`Embedder`] computes features with every patch visible; [`nearest`] lets the most similar
//! pictures vote, and [`linear`] trains a linear classifier on them (He et al. 2021, section 4.3 and appendix A.1).

mod accuracy;
mod classifier;
mod embedder;
mod features;
mod linear;
mod neighbours;

pub use accuracy::Accuracy;
pub use classifier::Classifier;
pub use embedder::{EmbedOptions, Embedder, Pool, Start};
pub use features::{Features, Samples, Standard};
pub use linear::{Linear, LinearOptions, RATES, linear};
pub use neighbours::{K, nearest};
