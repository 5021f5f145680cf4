//! `unmask runs`: lists and compares runs.

use anyhow::{Context as _, bail};
use serde_json::json;

use super::args::{Common, RunsArgs};
use super::chart;
use super::progress::{json_line, out, print, say};
use crate::platform::write_whole;
use crate::train::{RunSummary, find_runs};

/// Runs `unmask runs`.
pub fn run(common: &Common, args: &RunsArgs) -> anyhow::Result<()> {
    chart::check_name(args.svg.as_deref())?;
    let runs: Vec<RunSummary> = args.folders.iter().flat_map(|folder| find_runs(folder)).collect();
    if runs.is_empty() {
        let folders: Vec<String> = args.folders.iter().map(|folder| folder.display().to_string()).collect();
        bail!("{}: no run here or below (a run folder holds recipe.toml)", folders.join(", "));
    }
    if common.json {
        for run in &runs {
            let best = run.best();
            json_line(&json!({
                "run": run.path, "model": run.recipe.name, "step": run.step(), "steps": run.recipe.train.steps,
                "loss": run.loss(), "held_out_loss": best.map(|best| best.0), "best_step": best.map(|best| best.1),
                "batch": run.recipe.effective_batch(), "blr": run.recipe.train.blr,
                "mask_ratio": run.recipe.model.mask_ratio, "seed": run.recipe.train.seed,
            }))?;
        }
    } else {
        table(&runs)?;
    }
    let curves: Vec<(String, Vec<[f64; 2]>)> =
        runs.iter().map(|run| (run.path.display().to_string(), run.curve())).collect();
    if args.plot && !common.json {
        print(format_args!("\n{}", chart::text(&curves)))?;
    }
    if let Some(file) = &args.svg {
        write_whole(file, chart::svg(&curves).as_bytes()).with_context(|| file.display().to_string())?;
        say(common, format_args!("wrote {}", file.display()));
    }
    Ok(())
}

fn table(runs: &[RunSummary]) -> anyhow::Result<()> {
    let head = ["run", "model", "step", "of", "loss", "held out", "at step", "batch", "blr", "ratio", "seed"];
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
    let row = |run: &RunSummary| {
        let (best, train) = (run.best(), &run.recipe.train);
        [
            run.path.display().to_string(),
            run.recipe.short_name(),
            run.step().to_string(),
            train.steps.to_string(),
            number(run.loss()),
            number(best.map(|best| best.0)),
            best.map_or("-".to_owned(), |best| best.1.to_string()),
            run.recipe.effective_batch().to_string(),
            train.blr.to_string(),
            run.recipe.model.mask_ratio.to_string(),
            train.seed.to_string(),
        ]
    };
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(runs.iter().map(row));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            0 | 1 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        out!("{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}
