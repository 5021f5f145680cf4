//! `unmask train`: a session with a progress bar.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, bail};
use serde_json::json;

use super::args::{Common, TrainArgs};
use super::compile_bar::CompileBar;
use super::progress::{bar, complain, json_line, say};
use super::{resume, weights};
use crate::data;
use crate::platform;
use crate::session::{Command, Event, Job, Session};
use crate::train::RunFolder;

/// Runs `unmask train`.
pub fn run(common: &Common, args: &TrainArgs) -> anyhow::Result<()> {
    let mut recipe = args.recipe()?;
    let name = recipe.name.rsplit('/').next().unwrap_or("run").trim_end_matches(".toml");
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("runs/{name}-{}", recipe.train.seed)));
    let run = args.resume.then(|| RunFolder::recipe(&out)).transpose()?;
    if let Some(run) = &run {
        recipe = resume::wanted(args, run)?;
    }
    if args.data_stats {
        (recipe.model.pixel_mean, recipe.model.pixel_std) = data_stats(common, &recipe.train.data)?;
    }
    if let Some(epochs) = args.epochs {
        let pictures = data::open_all(&recipe.train.data)?.1.train.len();
        recipe.train.steps =
            epochs.saturating_mul(pictures as u64).div_ceil(recipe.effective_batch().max(1) as u64).max(1);
    }
    if let Some(run) = &run {
        resume::check_steps(run, &recipe)?;
    }
    let job = Job {
        out: Some(out),
        resume: args.resume,
        init: args.init.as_deref().map(|init| weights::local(common, init)).transpose()?,
        adapter: common.request(),
        stop_after: args.stop_after,
        ..Job::new(recipe)
    };
    drive(common, job)
}

/// Pictures that mean and deviation are computed from, at most.
const MOST_COUNTED: usize = 4096;

/// Mean and deviation of the training pictures, of evenly chosen ones where there are very many.
pub fn data_stats(common: &Common, specs: &[String]) -> anyhow::Result<([f64; 3], [f64; 3])> {
    let (source, split) = data::open_all(specs)?;
    let every = split.train.len().div_ceil(MOST_COUNTED).max(1);
    let indices: Vec<usize> = split.train.iter().copied().step_by(every).collect();
    let found = data::census(source.as_ref(), &indices, platform::threads(), |_| ());
    if found.readable == 0 {
        bail!("none of {} pictures can be read", indices.len());
    }
    // As many digits as anyone writes.
    let rounded = |values: [f64; 3]| values.map(|value| (value * 1e4).round() / 1e4);
    let (mean, std) = (rounded(found.pixels.mean), rounded(found.pixels.std));
    say(common, format_args!("pixels    mean {mean:?}, deviation {std:?}, from {} pictures", found.readable));
    Ok((mean, std))
}

/// Runs a session to its end; Ctrl-C finishes the step, saves and ends it.
pub fn drive(common: &Common, job: Job) -> anyhow::Result<()> {
    let session = Session::start(job)?;
    let stopped = Arc::new(AtomicBool::new(false));
    let (commands, flag) = (session.commands(), stopped.clone());
    let tell = !common.quiet && !common.json;
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::SeqCst) {
            // A second Ctrl-C means now.
            std::process::exit(130);
        }
        if tell {
            complain("\nstopping: the run is saved first, then measured; Ctrl-C again quits at once");
        }
        // The session may have ended already.
        let _ = commands.try_send(Command::Stop);
    })
    .context("Ctrl-C cannot be caught")?;

    let (mut progress, mut compiling) = (None, None);
    let mut held_out: Option<f64> = None;
    let mut unheard = None;
    while let Some(event) = session.wait() {
        if common.json && unheard.is_none() {
            // Where nobody reads on the run ends as by Ctrl-C: nothing is lost.
            unheard = report_json(&event).err();
            if unheard.is_some() {
                session.send(Command::Stop);
            }
        }
        match event {
            Event::Opened(kernels) => compiling = Some(CompileBar::watch(common, kernels)),
            Event::Started(start) => {
                compiling = None;
                say(
                    common,
                    format_args!(
                        "adapter   {} ({}, {})",
                        start.adapter.name, start.adapter.backend, start.adapter.driver
                    ),
                );
                let skipped = match start.skipped.len() {
                    0 => String::new(),
                    count => format!(", {count} unreadable"),
                };
                say(
                    common,
                    format_args!(
                        "pictures  {} to train on, {} held out, {} of them measured{skipped}",
                        start.pictures, start.held_out, start.measured
                    ),
                );
                say(common, format_args!("memory    {} estimated", start.estimate));
                if let Some(out) = &start.out {
                    say(common, format_args!("run       {}", out.display()));
                }
                progress = Some(bar(common, start.steps, start.step));
            }
            Event::Step(line) => {
                if let Some(bar) = &progress {
                    bar.set_position(line.step);
                    let held = held_out.map(|loss| format!(" (held out {loss:.4})")).unwrap_or_default();
                    bar.set_message(format!(
                        "loss {:.4}{held} {:.0} images/s",
                        line.loss.unwrap_or_default(),
                        line.images_per_s.unwrap_or_default()
                    ));
                }
            }
            Event::HeldOut { step, loss } => {
                held_out = Some(loss);
                if let Some(bar) = &progress {
                    bar.suspend(|| say(common, format_args!("step {step}: held-out loss {loss:.4}")));
                }
            }
            Event::Saved(path) | Event::Preview(path) => log::info!("wrote {}", path.display()),
            Event::Warning(text) | Event::Refused(text) => log::warn!("{text}"),
            Event::Finished { step, waited } => {
                if let Some(bar) = progress.take() {
                    bar.finish_and_clear();
                }
                let how = if stopped.load(Ordering::SeqCst) { "stopped" } else { "done" };
                let idle = if waited > 0.0 {
                    format!("; the adapter waited for pictures {:.1} % of the time", waited * 100.0)
                } else {
                    String::new()
                };
                say(
                    common,
                    format_args!("{how} after {step} step{}, everything saved{idle}", if step == 1 { "" } else { "s" }),
                );
                session.join();
                return unheard.map_or(Ok(()), Err);
            }
            Event::Failed(error) => {
                drop(compiling);
                if let Some(bar) = progress.take() {
                    bar.abandon();
                }
                session.join();
                return Err(error.into());
            }
            Event::Cancelled => {
                drop(compiling);
                say(common, "stopped before it began; nothing was written");
                session.join();
                return unheard.map_or(Ok(()), Err);
            }
            Event::Lost(reason) => bail!("{reason}; --resume continues from the last checkpoint"),
            // Nothing is explored or watched here.
            _ => {}
        }
    }
    bail!("internal error: the session ended without a result")
}

fn report_json(event: &Event) -> anyhow::Result<()> {
    match event {
        Event::Started(start) => json_line(&json!({
            "event": "started", "adapter": start.adapter.name, "pictures": start.pictures, "held_out": start.held_out,
            "measured": start.measured, "skipped": start.skipped.len(), "estimated_bytes": start.estimate.bytes(),
            "step": start.step, "steps": start.steps, "out": start.out,
        })),
        Event::Step(line) => {
            let mut line = serde_json::to_value(line)?;
            line["event"] = "step".into();
            json_line(&line)
        }
        Event::HeldOut { step, loss } => json_line(&json!({"event": "held_out", "step": step, "held_out_loss": loss})),
        Event::Saved(path) => json_line(&json!({"event": "saved", "path": path})),
        Event::Preview(path) => json_line(&json!({"event": "preview", "path": path})),
        Event::Warning(text) | Event::Refused(text) => json_line(&json!({"event": "warning", "text": text})),
        Event::Finished { step, waited } => {
            json_line(&json!({"event": "finished", "step": step, "waited_share": waited}))
        }
        Event::Cancelled => json_line(&json!({"event": "cancelled"})),
        Event::Failed(error) => json_line(&json!({"event": "failed", "error": error.to_string()})),
        Event::Lost(reason) => json_line(&json!({"event": "failed", "error": reason})),
        _ => Ok(()),
    }
}
