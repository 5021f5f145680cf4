//! `unmask bench --turns`: steps by turns with another trainer, which `bench/peers/run.py` conducts.

use std::io::BufRead;
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::json;

use super::bench_args::BenchArgs;
use super::progress::json_line;
use crate::gpu::Gpu;
use crate::train::{Recipe, Turns};
use crate::weights::{Storage, write_tensors};

/// Writes the case, says that all is ready, then answers every line `N` on stdin with N more steps, until stdin ends.
pub async fn run(args: &BenchArgs, gpu: Arc<Gpu>, recipe: &Recipe, rate: f64) -> anyhow::Result<()> {
    let mut turns = Turns::new(gpu, recipe, rate).await?;
    if let Some(path) = &args.dump {
        let mut case = turns.bench().dump().await?;
        let optimiser = json!({ "rate": rate, "adamw": recipe.optimiser() });
        case.metadata.insert("optimiser".to_owned(), optimiser.to_string());
        write_tensors(path, &case, Storage::F32)?;
    }
    json_line(turns.ready())?;
    for line in std::io::stdin().lock().lines() {
        let line = line.context("stdin")?;
        let steps: usize =
            line.trim().parse().with_context(|| format!("stdin: {line:?}: expected a number of steps"))?;
        json_line(&turns.turn(steps).await?)?;
    }
    Ok(())
}
