//! How the cost of a step grows with the batch, with the picture, with the model.

use std::sync::Arc;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::json;

use super::args::Common;
use super::bench_args::{BenchArgs, Scale};
use super::bench_chart;
use super::progress::{json_line, say};
use crate::gpu::Gpu;
use crate::mae::PRESETS;
use crate::ops::Peak;
use crate::platform::write_whole;
use crate::train::{Bench, Recipe, TrainError};

/// No larger size is tried once a step takes this long, milliseconds.
const ENOUGH: f64 = 20_000.0;

/// One size and what it costs.
#[derive(Clone, Debug, Serialize)]
struct Point {
    /// What is varied, in words.
    name: String,
    /// The same as a number; trained numbers for models.
    size: f64,
    /// Median step.
    step_ms: f64,
    images_per_s: f64,
    /// Floating-point operations of a step.
    flops: u64,
    gflops: f64,
    peak_bytes: u64,
}

/// The recipes of a series, smallest first, by name.
fn series(recipe: &Recipe, scale: Scale) -> anyhow::Result<Vec<(String, Recipe)>> {
    let with = |change: &dyn Fn(&mut Recipe)| {
        let mut recipe = recipe.clone();
        change(&mut recipe);
        recipe
    };
    Ok(match scale {
        Scale::Batch => (0..=8)
            .map(|power| 1 << power)
            .map(|batch| (batch.to_string(), with(&|recipe| recipe.train.batch = batch)))
            .collect(),
        Scale::Tokens => [7, 10, 14, 20, 28, 40, 64]
            .map(|grid: usize| {
                let change = |recipe: &mut Recipe| recipe.model.image_size = grid * recipe.model.patch_size;
                ((grid * grid).to_string(), with(&change))
            })
            .to_vec(),
        Scale::Model => PRESETS
            .iter()
            .map(|preset| {
                let mut model = Recipe::load(preset.name)?;
                model.train = recipe.train.clone();
                Ok((preset.name.to_owned(), model))
            })
            .collect::<Result<_, TrainError>>()?,
    })
}

/// Runs `unmask bench --scale`.
pub async fn run(
    common: &Common,
    args: &BenchArgs,
    gpu: &Arc<Gpu>,
    recipe: &Recipe,
    scale: Scale,
    peak: Option<Peak>,
) -> anyhow::Result<()> {
    let mut points: Vec<Point> = Vec::new();
    for (name, recipe) in series(recipe, scale)? {
        let bench = match Bench::new(gpu.clone(), &recipe).await {
            Ok(bench) => bench,
            Err(error) if !points.is_empty() => {
                say(common, format_args!("{name}: {error}"));
                break;
            }
            Err(error) => return Err(error.into()),
        };
        let result = bench.time(args.steps, false, peak).await?;
        let size = match scale {
            Scale::Model => bench.estimate().trained as f64,
            Scale::Batch | Scale::Tokens => name.parse()?,
        };
        let point = Point {
            size,
            step_ms: result.step_ms,
            images_per_s: result.images_per_s,
            flops: bench.estimate().flops,
            gflops: result.gflops,
            peak_bytes: result.peak_bytes,
            name,
        };
        say(
            common,
            format_args!(
                "{:>8} {:10.1} ms {:9.2} images/s {:8.1} GFLOP/s {:8.0} MiB",
                point.name,
                point.step_ms,
                point.images_per_s,
                point.gflops,
                point.peak_bytes as f64 / f64::from(1 << 20)
            ),
        );
        points.push(point);
        if result.step_ms > ENOUGH {
            break;
        }
    }
    let what = match scale {
        Scale::Batch => "pictures a step",
        Scale::Tokens => "patches a picture",
        Scale::Model => "trained numbers",
    };
    if let Some(path) = &args.svg {
        let places: Vec<[f64; 3]> =
            points.iter().map(|point| [point.size, point.step_ms, point.flops as f64]).collect();
        let (batch, adapter) = (recipe.train.batch, gpu.name());
        let title = match scale {
            Scale::Batch => format!("{} on {adapter}", args.model),
            Scale::Tokens => format!("{} at batch {batch} on {adapter}", args.model),
            Scale::Model => format!("presets at batch {batch} on {adapter}"),
        };
        let svg = bench_chart::curves(&title, what, &places);
        write_whole(path, svg.as_bytes()).with_context(|| path.display().to_string())?;
    }
    if common.json {
        json_line(&json!({
            "adapter": gpu.summary(), "peak": peak, "model": args.model, "batch": args.batch, "by": what, "points": points,
        }))?;
    }
    Ok(())
}
