//! Metrics, baselines and the self-test: every kernel against its twin, golden cases against a reference.

mod baseline;
mod golden;
pub mod kernels;
mod pca;

pub use baseline::{Baselines, baselines, psnr_db};
pub use golden::{CaseReport, Compared, GoldenError, run_case};
pub use pca::{align, principal_components};
