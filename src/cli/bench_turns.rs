//! `unmask bench --turns`: steps by turns with another trainer, which `bench/peers/run.py` conducts.

use std::io::BufRead;

use anyhow::{Context as _, ensure};
use serde_json::json;

use super::bench_args::BenchArgs;
use super::progress::json_line;
use crate::gpu::Gpu;
use crate::platform;
use crate::train::{Bench, Recipe};
use crate::weights::{Storage, write_tensors};

/// Writes the case, says that all is ready, then answers every line `N` on stdin with N more steps, until stdin ends.
pub async fn run(args: &BenchArgs, gpu: &Gpu, recipe: &Recipe, bench: &Bench, rate: f64) -> anyhow::Result<()> {
    if let Some(path) = &args.dump {
        let mut case = bench.dump().await?;
        let optimiser = json!({ "rate": rate, "adamw": recipe.optimiser() });
        case.metadata.insert("optimiser".to_owned(), optimiser.to_string());
        write_tensors(path, &case, Storage::F32)?;
    }
    let adapter = gpu.summary();
    json_line(&json!({
        "ready": true, "name": "unmask", "version": env!("CARGO_PKG_VERSION"), "adapter": adapter.name,
        "driver": adapter.driver, "api": adapter.backend, "precision": recipe.train.precision, "model": args.model, "batch": args.batch,
        "parameters": bench.estimate().trained,
    }))?;
    let mut step = 0;
    for line in std::io::stdin().lock().lines() {
        let line = line.context("stdin")?;
        let steps: usize =
            line.trim().parse().with_context(|| format!("stdin: {line:?}: expected a number of steps"))?;
        let (mut times, mut losses) = (Vec::with_capacity(steps), Vec::with_capacity(steps));
        for _ in 0..steps {
            step += 1;
            let start = platform::now_seconds();
            losses.push(bench.step(rate, step).await?);
            times.push((platform::now_seconds() - start) * 1e3);
        }
        ensure!(losses.iter().all(|loss| loss.is_finite()), "the loss is no longer finite at step {step}: {losses:?}");
        json_line(&json!({ "ms": times, "losses": losses }))?;
    }
    Ok(())
}
