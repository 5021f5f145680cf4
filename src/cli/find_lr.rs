//! `unmask find-lr`: the learning-rate range test.

use anyhow::bail;
use serde_json::json;

use super::args::{Common, FindLrArgs, TrainArgs};
use super::compile_bar::CompileBar;
use super::progress::{bar, json_line, out, say};
use super::train::data_stats;
use super::weights;
use crate::gpu::Gpu;
use crate::session::{Begin, Job, start_trainer};
use crate::train::{RateFound, suggested_rate, try_rates};

/// Whether an option was given.
type Given = fn(&TrainArgs) -> bool;

/// Options of training that have no effect here.
pub const IDLE: [(&str, Given); 13] = [
    ("steps", |t| t.steps.is_some()),
    ("epochs", |t| t.epochs.is_some()),
    ("blr", |t| t.blr.is_some()),
    ("min_lr", |t| t.min_lr.is_some()),
    ("warmup_steps", |t| t.warmup_steps.is_some()),
    ("early_stop", |t| t.early_stop.is_some()),
    ("out", |t| t.out.is_some()),
    ("resume", |t| t.resume),
    ("eval_every", |t| t.eval_every.is_some()),
    ("checkpoint_every", |t| t.checkpoint_every.is_some()),
    ("preview_every", |t| t.preview_every.is_some()),
    ("keep", |t| t.keep.is_some()),
    ("stop_after", |t| t.stop_after.is_some()),
];

/// Refuses what would have no effect, and ranges that are none.
fn check(args: &FindLrArgs) -> anyhow::Result<()> {
    if let Some((name, _)) = IDLE.iter().find(|(_, is_given)| is_given(&args.train)) {
        let name = name.replace('_', "-");
        bail!("--{name} has no effect on find-lr, which tries --tries rates from --from to --to and writes nothing");
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
        (recipe.model.pixel_mean, recipe.model.pixel_std) = data_stats(common, &recipe.train)?;
    }
    // The rate is what is tried: no warm-up, and a cosine too long to matter.
    recipe.train.warmup_steps = 0;
    recipe.train.min_lr = 0.0;
    recipe.train.steps = 1_000_000_000;
    let scale = recipe.effective_batch() as f64 / 256.0;
    let begin = match &args.train.init {
        Some(init) => Begin::Weights(weights::local(common, init)?),
        None => Begin::New,
    };
    let job = Job { begin, adapter: common.request(), ..Job::new(recipe) };
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
    let found = suggested_rate(&tried, args.to);
    if common.json {
        let blr = if let RateFound::Rate(blr) = found { Some(blr) } else { None };
        let still_falling = found == RateFound::StillFalling;
        let lr = blr.map(|blr| blr * scale);
        return json_line(&json!({"tried": tried, "blr": blr, "lr": lr, "still_falling": still_falling}));
    }
    let every = tried.len().div_ceil(24).max(1);
    for point in tried.iter().step_by(every) {
        out!("blr {:9.2e}  loss {:.4}", point.blr, point.smooth)?;
    }
    match found {
        RateFound::Rate(blr) => {
            out!("suggested   --blr {blr:.1e}  (a rate of {:.1e} at this batch)", blr * scale)?;
            say(common, "a third of the rate at which the loss was lowest before it rose");
        }
        RateFound::StillFalling => {
            out!("the loss was still falling at the highest rate, {:e}: try a larger --to", args.to)?;
        }
        RateFound::Nowhere => out!("the loss fell at no rate between {:e} and {:e}", args.from, args.to)?,
    }
    Ok(())
}
