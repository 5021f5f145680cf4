//! Every kernel on this adapter against its twin in f64.
//!
//! Each case is a small graph of odd shapes with fixed inputs, run as a model is run, in memory filled with garbage
//! beforehand, with the kernels for GPUs as well as with those for processors.

mod case;
mod cases;
mod random;
pub mod twins;

use std::collections::BTreeSet;

use serde::Serialize;

pub use random::{Random, garbage, poison};

use crate::gpu::{DispatchList, Gpu};
use crate::graph::{Caps, GraphError};
use crate::ops;

/// How one kernel did in one case.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KernelReport {
    /// Shader and conditions: `matmul+NT+BIAS`.
    pub kernel: String,
    /// Shapes and settings, and the sizes that the kernel was made for.
    pub case: String,
    /// The worst relative L2 error of a result of the case; of results that must be equal to the bit the share that is
    /// not. [`f64::MAX`] where a result is not finite.
    pub error: f64,
    /// What is tolerated; zero asks for equal bits.
    pub tolerance: f64,
    /// Whether it is within.
    pub pass: bool,
}

/// Runs every kernel that this adapter can run and compares it with its twin.
///
/// A case in which several kernels take part gives a report of each, with the error of the case. `told` hears how many
/// cases of how many are done, first of none, when all kernels are compiled.
///
/// # Errors
/// Those of the device; numbers out of tolerance are no error but reports that do not pass.
pub async fn check_kernels(gpu: &Gpu, mut told: impl FnMut(usize, usize)) -> Result<Vec<KernelReport>, GraphError> {
    ops::check_matrix_units(gpu).await?;
    let cases = cases::all(Caps::of(gpu))?;
    // All of them before the first runs: most of the time goes here, and drivers compile on all processors.
    let mut kernels = Vec::new();
    for case in &cases {
        kernels.extend(case.kernels(gpu)?);
    }
    gpu.compile(&kernels).await?;
    let mut reports = Vec::new();
    for (done, case) in cases.iter().enumerate() {
        told(done, cases.len());
        reports.extend(case.run(gpu).await?);
    }
    told(cases.len(), cases.len());
    reports.extend(cases::optimiser(gpu).await?);
    reports.extend(cases::peaks(gpu).await?);
    Ok(reports)
}

/// A report of each kernel in `list`.
fn report(list: &DispatchList, what: &str, error: f64, tolerance: f64) -> Vec<KernelReport> {
    let names: BTreeSet<&str> = list.dispatches.iter().map(|dispatch| dispatch.kernel.name.as_str()).collect();
    let report = |name: &str| {
        let (kernel, sizes) = name.split_once(' ').unwrap_or((name, ""));
        let separator = if sizes.is_empty() { "" } else { ", " };
        KernelReport {
            kernel: kernel.to_owned(),
            case: format!("{what}{separator}{sizes}"),
            error: if error.is_finite() { error } else { f64::MAX },
            tolerance,
            pass: error <= tolerance,
        }
    };
    names.into_iter().map(report).collect()
}
