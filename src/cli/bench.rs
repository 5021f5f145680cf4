//! `unmask bench`: speed and memory of a training step, weights and inputs by seed.

use anyhow::Context as _;
use serde_json::json;

use super::args::Common;
use super::bench_args::BenchArgs;
use super::compile_bar::CompileBar;
use super::progress::{json_line, out, say};
use super::{bench_chart, bench_scale, bench_slices, bench_turns, chart};
use crate::gpu::Gpu;
use crate::ops::{Peak, TileTime};
use crate::platform::write_whole;
use crate::train::{Bench, BenchResult, Recipe};
use crate::weights::{Storage, write_tensors};

/// Runs `unmask bench`.
pub fn run(common: &Common, args: &BenchArgs) -> anyhow::Result<()> {
    chart::check_name(args.svg.as_deref())?;
    let mut recipe = Recipe::load(&args.model)?;
    recipe.train.batch = args.batch;
    recipe.train.seed = args.seed;
    recipe.train.recompute |= args.recompute;
    if let Some(precision) = args.precision {
        recipe.train.precision = precision.into();
    }
    if let Some(ratio) = args.mask_ratio {
        recipe.model.mask_ratio = ratio;
    }
    recipe.check()?;
    pollster::block_on(async {
        let gpu = Gpu::open(&common.gpu_options()).await?;
        say(common, format_args!("adapter {}", gpu.name()));
        if let Some(rate) = args.turns {
            recipe.model.encoder_sees_masks = args.encoder_sees_masks;
            return bench_turns::run(args, gpu, &recipe, rate).await;
        }
        let peak = Peak::measure(&gpu).await?;
        if let Some(Peak { gflops, gbytes_per_s }) = peak {
            say(common, format_args!("peak    {gflops:.1} GFLOP/s, {gbytes_per_s:.1} GB/s measured"));
        }
        recipe.model.encoder_sees_masks = false;
        if let Some(scale) = args.scale {
            return bench_scale::run(common, args, &gpu, &recipe, scale, peak).await;
        }
        if args.tiles {
            return show_tiles(common, &gpu, &Bench::tiles(&gpu, &recipe).await?, peak);
        }
        let compiling = CompileBar::watch(common, gpu.compiling());
        let bench = Bench::new(gpu.clone(), &recipe).await?;
        drop(compiling);
        say(common, format_args!("memory  {} estimated", bench.estimate()));
        let ops = args.ops || args.shapes || args.svg.is_some();
        let result = bench.time(args.steps, ops, peak).await?;
        if let Some(path) = &args.svg {
            let title = format!("{} batch {}, {}", args.model, args.batch, gpu.name());
            let svg = bench_chart::bars(&title, &result.ops);
            write_whole(path, svg.as_bytes()).with_context(|| path.display().to_string())?;
        }
        let slices = match args.slice_ms {
            Some(milliseconds) => Some(bench_slices::compare(&gpu, &bench, milliseconds, args.steps).await?),
            None => None,
        };
        if let Some(path) = &args.dump {
            write_tensors(path, &bench.dump().await?, Storage::F32)?;
        }
        drop(bench);
        let all = if args.encoder_sees_masks {
            recipe.model.encoder_sees_masks = true;
            let bench = Bench::new(gpu.clone(), &recipe).await.context("encoder_sees_masks")?;
            Some(bench.time(args.steps, ops, peak).await?)
        } else {
            None
        };
        let speedup = all.as_ref().map(|all| all.step_ms / result.step_ms);
        if common.json {
            return json_line(&json!({
                "adapter": gpu.summary(), "peak": peak, "model": args.model, "batch": args.batch, "seed": args.seed,
                "visible_only": result, "encoder_sees_masks": all, "visible_only_speedup": speedup,
                "loss": result.loss, "step_ms": result.step_ms, "images_per_s": result.images_per_s,
                "gflops": result.gflops, "share_of_peak": result.share_of_peak, "peak_bytes": result.peak_bytes,
                "slices": slices,
            }));
        }
        show(&format!("{} batch {}", args.model, args.batch), &result, args)?;
        if let Some(slices) = slices {
            out!(
                "slices of {:.1} ms add {:.1} % to a step ({:.1} ms against {:.1} ms)",
                slices.slice_ms,
                (slices.ratio - 1.0) * 100.0,
                slices.sliced_ms,
                slices.whole_ms
            )?;
        }
        if let (Some(all), Some(speedup)) = (&all, speedup) {
            show("encoder sees masks", all, args)?;
            out!("visible tokens only is {speedup:.2} times faster")?;
        }
        Ok(())
    })
}

fn show_tiles(common: &Common, gpu: &Gpu, times: &[TileTime], peak: Option<Peak>) -> anyhow::Result<()> {
    if common.json {
        return json_line(&json!({ "adapter": gpu.summary(), "peak": peak, "tiles": times }));
    }
    for time in times {
        let share = of_peak(" ", peak.map(|peak| time.gflops / peak.gflops));
        out!("{:<26} {:9.3} ms {:9.1} GFLOP/s{share}  {}", time.class, time.milliseconds, time.gflops, time.tile)?;
    }
    Ok(())
}

fn show(title: &str, result: &BenchResult, args: &BenchArgs) -> anyhow::Result<()> {
    out!("{title}")?;
    out!("  loss         {:.6}", result.loss)?;
    out!("  step         {:.1} ms (median of {})", result.step_ms, result.steps)?;
    out!(
        "  speed        {:.2} images/s, {:.1} GFLOP/s{}",
        result.images_per_s,
        result.gflops,
        of_peak(", ", result.share_of_peak)
    )?;
    out!("  memory       {:.0} MiB in buffers", result.peak_bytes as f64 / f64::from(1 << 20))?;
    out!("  dispatches   {}, encoded in {:.2} ms", result.dispatches, result.encode_ms)?;
    if let Some(idle) = result.idle_share {
        out!("  idle         {:.1} % of the step", idle * 100.0)?;
    }
    if args.shapes {
        for shape in &result.shapes {
            out!(
                "  {:<22} {:9.2} ms {:4} x {:7.2} GFLOP/s {:7.2} GB/s{}  {}",
                shape.op,
                shape.milliseconds,
                shape.times,
                shape.gflops,
                shape.gbytes_per_s,
                of_peak(" ", shape.share_of_peak),
                shape.shapes
            )?;
        }
        return Ok(());
    }
    for op in &result.ops {
        out!(
            "  {:<22} {:9.2} ms {:5.1} % {:7.2} GFLOP/s {:7.2} GB/s{}",
            op.op,
            op.milliseconds,
            op.share * 100.0,
            op.gflops,
            op.gbytes_per_s,
            of_peak(" ", op.share_of_peak)
        )?;
    }
    Ok(())
}

/// A share of the peak after `before`, or nothing where the peak is not known.
fn of_peak(before: &str, share: Option<f64>) -> String {
    share.map_or(String::new(), |share| format!("{before}{:5.1} % of peak", share * 100.0))
}
