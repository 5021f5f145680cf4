//! Metrics, baselines and the self-test against golden cases.

mod baseline;
mod golden;

pub use baseline::{Baselines, baselines, psnr_db};
pub use golden::{CaseReport, GoldenError, run_case};
