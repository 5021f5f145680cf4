//! What it costs to cut a step into slices, so that a window stays alive beside it.

use serde::Serialize;

use crate::gpu::{Gpu, Pace, Slices};
use crate::platform::now_seconds;
use crate::train::{Bench, median};

/// Whole steps against the same steps in slices.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Compared {
    /// Milliseconds that a slice may take.
    pub slice_ms: f64,
    /// Median of whole steps.
    pub whole_ms: f64,
    /// Median of steps in slices.
    pub sliced_ms: f64,
    /// Median over pairs of steps, one after the other.
    pub ratio: f64,
}

/// Times `pairs` of steps, whole and in slices of `slice_ms`, turn by turn.
pub async fn compare(gpu: &Gpu, bench: &Bench, slice_ms: f64, pairs: usize) -> anyhow::Result<Compared> {
    let mut pace = Pace::default();
    pace.set(slice_ms / 1e3);
    // The first turn finds the pace.
    let mut pairs_ms: Vec<[f64; 2]> = Vec::new();
    for _ in 0..=pairs.max(1) {
        let start = now_seconds();
        bench.lists().into_iter().for_each(|list| list.run(gpu));
        gpu.wait()?;
        let middle = now_seconds();
        for list in bench.lists() {
            let mut slices = Slices::default();
            while !list.run_slice(gpu, &mut slices, pace.most()) {
                pace.submitted(gpu).await?;
            }
            pace.submitted(gpu).await?;
        }
        gpu.wait()?;
        pairs_ms.push([(middle - start) * 1e3, (now_seconds() - middle) * 1e3]);
    }
    pairs_ms.remove(0);
    let of = |value: fn(&[f64; 2]) -> f64| median(&mut pairs_ms.iter().map(value).collect::<Vec<f64>>());
    let (whole_ms, sliced_ms) = (of(|pair| pair[0]), of(|pair| pair[1]));
    Ok(Compared { slice_ms, whole_ms, sliced_ms, ratio: of(|pair| pair[1] / pair[0]) })
}
