//! `unmask find-lr`: the learning-rate range test.

use anyhow::bail;
use serde_json::json;

use super::args::{Common, FindLrArgs};
use super::compile_bar::CompileBar;
use super::progress::{bar, json_line, out, say};
use super::train::data_stats;
use super::weights;
use crate::gpu::Gpu;
use crate::session::{Job, start_trainer};
use crate::train::{suggested_rate, try_rates};

/// Refuses what would have no effect, and ranges that are none.
fn check(args: &FindLrArgs) -> anyhow::Result<()> {
    let t = &args.train;
    let idle = [
        ("--steps", t.steps.is_some()),
        ("--epochs", t.epochs.is_some()),
        ("--blr", t.blr.is_some()),
        ("--min-lr", t.min_lr.is_some()),
        ("--warmup-steps", t.warmup_steps.is_some()),
        ("--early-stop", t.early_stop.is_some()),
        ("--out", t.out.is_some()),
        ("--resume", t.resume),
        ("--eval-every", t.eval_every.is_some()),
        ("--checkpoint-every", t.checkpoint_every.is_some()),
        ("--preview-every", t.preview_every.is_some()),
        ("--keep", t.keep.is_some()),
        ("--stop-after", t.stop_after.is_some()),
    ];
    if let Some((name, _)) = idle.iter().find(|(_, given)| *given) {
        bail!("{name} has no effect on find-lr, which tries --tries rates from --from to --to and writes nothing");
    }
    if !(args.from > 0.0 && args.from < args.to && args.to.is_finite()) {
        bail!("--from {:e} --to {:e}: expected rates above 0, the lower one first", args.from, args.to);
    }
    if args.tries < 2 {
        bail!("--tries {}: expected at least 2", args.tries);
    }
    Ok(())
}

/// Runs `unmask find-lr`.
pub fn run(common: &Common, args: &FindLrArgs) -> anyhow::Result<()> {
    check(args)?;
    let mut recipe = args.train.recipe()?;
    if args.train.data_stats {
        (recipe.model.pixel_mean, recipe.model.pixel_std) = data_stats(common, &recipe.train.data)?;
    }
    // The rate is what is tried: no warm-up, and a cosine too long to matter.
    recipe.train.warmup_steps = 0;
    recipe.train.min_lr = 0.0;
    recipe.train.steps = 1_000_000_000;
    let scale = recipe.effective_batch() as f64 / 256.0;
    let job = Job {
        pictures: None,
        recipe,
        out: None,
        resume: false,
        snapshot: None,
        init: args.train.init.as_deref().map(|init| weights::local(common, init)).transpose()?,
        adapter: common.request(),
        stop_after: None,
    };
    let tried = pollster::block_on(async {
        let mut compiling = None;
        let opened = |gpu: &Gpu| compiling = Some(CompileBar::watch(common, gpu.compiling()));
        let mut trainer = start_trainer(&job, None, opened).await?.trainer;
        drop(compiling);
        let progress = bar(common, args.tries as u64, 0);
        let tried = try_rates(&mut trainer, [args.from, args.to], args.tries, |point| {
            progress.inc(1);
            progress.set_message(format!("blr {:.1e} loss {:.4}", point.blr, point.smooth));
        });
        let tried = tried.await?;
        progress.finish_and_clear();
        anyhow::Ok(tried)
    })?;
    let suggestion = suggested_rate(&tried);
    if common.json {
        return json_line(&json!({"tried": tried, "blr": suggestion, "lr": suggestion.map(|blr| blr * scale)}));
    }
    let every = tried.len().div_ceil(24).max(1);
    for point in tried.iter().step_by(every) {
        out!("blr {:9.2e}  loss {:.4}", point.blr, point.smooth)?;
    }
    match suggestion {
        Some(blr) => {
            out!("suggested   --blr {blr:.1e}  (a rate of {:.1e} at this batch)", blr * scale)?;
            say(common, "a third of the rate at which the loss was lowest before it rose");
        }
        None => out!("the loss fell at no rate between {:e} and {:e}", args.from, args.to)?,
    }
    Ok(())
}
