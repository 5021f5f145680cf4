//! The main job in a terminal: a small model learns for a minute, with pictures before and after.

use std::path::Path;

use anyhow::Context as _;

use super::args::{Common, DemoArgs};
use super::progress::{bar, say};
use crate::platform;
use crate::session::{Command, Event, Job, Session};
use crate::train::Recipe;

/// Runs `unmask demo`.
pub fn run(common: &Common, args: &DemoArgs) -> anyhow::Result<()> {
    say(common, "Training a small masked autoencoder on the built-in photographs.");
    say(common, "Three quarters of each picture are hidden; it learns to paint them back.\n");
    let mut recipe = Recipe::load("micro")?;
    // More steps than the time allows: the clock ends the run, on any adapter.
    recipe.train.steps = 1_000_000;
    // Small batches, so that slow adapters get some steps done too.
    recipe.train.batch = 16;
    recipe.train.blr = 0.024;
    recipe.train.warmup_steps = 10;
    recipe.train.eval_every = 0;
    recipe.train.checkpoint_every = 0;
    clear(&args.out)?;
    let out = args.out.clone();
    let job = Job {
        pictures: None,
        recipe,
        out: Some(out.clone()),
        resume: false,
        snapshot: None,
        init: None,
        adapter: common.request(),
        stop_after: None,
    };
    let session = Session::start(job)?;
    let commands = session.commands();
    ctrlc::set_handler(move || {
        for command in [Command::Measure, Command::Stop] {
            // The session may have ended already.
            let _ = commands.try_send(command);
        }
    })
    .context("Ctrl-C cannot be caught")?;

    let (mut progress, mut first, mut last, mut started) = (None, None, None, 0.0);
    while let Some(event) = session.wait() {
        match event {
            Event::Started(start) => {
                say(common, format_args!("adapter   {} ({})", start.adapter.name, start.adapter.backend));
                say(common, format_args!("pictures  {} to train on, {} held out", start.pictures, start.held_out));
                started = platform::now_seconds();
                progress = Some(bar(common, args.seconds.ceil() as u64, 0));
            }
            Event::Step(line) => {
                let elapsed = platform::now_seconds() - started;
                if let Some(bar) = &progress {
                    bar.set_position((elapsed as u64).min(args.seconds as u64));
                    bar.set_message(format!(
                        "s  step {} loss {:.3} {:.0} images/s",
                        line.step,
                        line.loss.unwrap_or_default(),
                        line.images_per_s.unwrap_or_default()
                    ));
                }
                if elapsed >= args.seconds {
                    session.send(Command::Measure);
                    session.send(Command::Stop);
                }
            }
            Event::HeldOut { loss, .. } => {
                first.get_or_insert(loss);
                last = Some(loss);
            }
            Event::Failed(error) => return Err(error.into()),
            Event::Warning(text) | Event::Refused(text) => log::warn!("{text}"),
            Event::Finished { step, .. } => {
                if let Some(bar) = progress.take() {
                    bar.finish_and_clear();
                }
                say(common, format_args!("{step} steps done"));
            }
            // Nothing is explored or watched here.
            _ => {}
        }
    }
    if let (Some(first), Some(last)) = (first, last) {
        println!("held-out loss  {first:.3} before, {last:.3} after");
    }
    println!("pictures       {}", out.join("previews").display());
    println!(
        "               visible patches | reconstruction | with visible patches | original, a row a held-out photograph"
    );
    println!("run            {} (go on with `unmask train --resume --out {}`)", out.display(), out.display());
    Ok(())
}

/// Removes an earlier demo, and nothing that is not one.
fn clear(out: &Path) -> anyhow::Result<()> {
    for file in ["recipe.toml", "metrics.jsonl"] {
        let path = out.join(file);
        if path.exists() {
            std::fs::remove_file(&path).with_context(|| path.display().to_string())?;
        }
    }
    for folder in ["checkpoints", "previews"] {
        let path = out.join(folder);
        if path.exists() {
            std::fs::remove_dir_all(&path).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}
