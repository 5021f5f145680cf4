//! Recipes, schedules, the trainer, run folders and checkpoints.

mod bench;
mod checkpoint;
mod error;
mod estimate;
mod events;
mod explorer;
mod feed;
mod foreign;
mod held_out;
mod hub;
mod inspector;
mod metrics;
mod profile;
mod recipe;
mod reconstruct;
mod run_folder;
mod schedule;
mod trainer;

pub use bench::{Bench, BenchResult, OpTime};
pub use checkpoint::{Checkpoint, config_metadata, model_of};
pub use error::TrainError;
pub use estimate::{Estimate, estimate};
pub use explorer::{Explorer, Hidden, Measured, Rebuilt};
pub use feed::{Feed, FeedOptions, Pictures, decode_limit, packed};
pub use foreign::{Hints, Opened, model_params};
pub use held_out::{HeldOut, HeldOutResult};
pub use hub::{HubConfig, hub_config, hub_preprocessor};
pub use inspector::{Filters, Inspector, Look, Looked};
pub use metrics::{MetricsLine, read_metrics};
pub use profile::{OpCost, Profile, TensorBytes};
pub use recipe::{Augment, Precision, Recipe, TrainRecipe};
pub use reconstruct::{Reconstruction, Reconstructor};
pub use run_folder::RunFolder;
pub use schedule::Schedule;
pub use trainer::{StepMetrics, Trainer};
