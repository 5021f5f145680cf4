//! The loops that measure an adapter: they compute what they should, so that no compiler has left anything out.

use super::optimiser::holding;
use crate::eval::kernels::case::share_wrong;
use crate::eval::kernels::random::{Random, garbage};
use crate::eval::kernels::{KernelReport, report, twins};
use crate::gpu::{DispatchList, Gpu};
use crate::graph::GraphError;
use crate::ops::{push_peak_copy, push_peak_fma};

/// Both loops.
pub(in super::super) async fn peaks(gpu: &Gpu) -> Result<Vec<KernelReport>, GraphError> {
    let mut random = Random(3);
    let (length, rounds) = (1000, 40);
    let out = holding(gpu, &garbage(&mut random, length)).await?;
    let mut list = DispatchList::default();
    push_peak_fma(gpu, &mut list, &out, rounds)?;
    list.run(gpu);
    let got: Vec<f32> = gpu.read_one("chains", &out).await?;
    let error = twins::relative_error(&got, &twins::peak_fma(length as u64, rounds));
    let mut reports = report(&list, "[1000] chains of 40 rounds", error, 1e-5);

    let words: Vec<u32> = (0..257 * 4).map(|_| random.bits()).collect();
    let from = holding(gpu, &words).await?;
    let to = holding(gpu, &garbage(&mut random, words.len())).await?;
    let mut list = DispatchList::default();
    push_peak_copy(gpu, &mut list, &from, &to)?;
    list.run(gpu);
    let got: Vec<u32> = gpu.read_one("copy", &to).await?;
    gpu.check()?;
    reports.extend(report(&list, "[257, 4]", share_wrong(&got, &words), 0.0));
    Ok(reports)
}
