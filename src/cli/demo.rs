//! The main job in a terminal: a small model learns for a minute, with pictures before and after.

use anyhow::Context as _;
use serde_json::json;

use super::args::{Common, DemoArgs};
use super::compile_bar::CompileBar;
use super::demo_folder;
use super::progress::{bar, json_line, out, say};
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
    let folder = demo_folder::free(&args.out)?;
    if folder != args.out {
        let (taken, folder) = (args.out.display(), folder.display());
        say(common, format_args!("{taken} holds a run that is more than a demo and stays; this one goes to {folder}"));
    }
    let job = Job { out: Some(folder.clone()), adapter: common.request(), ..Job::new(recipe) };
    let session = Session::start(job)?;
    let commands = session.commands();
    ctrlc::set_handler(move || {
        for command in [Command::Measure, Command::Stop] {
            // The session may have ended already.
            let _ = commands.try_send(command);
        }
    })
    .context("Ctrl-C cannot be caught")?;

    let mut compiling = None;
    let mut over = false;
    let (mut progress, mut first, mut last, mut started, mut steps) = (None, None, None, 0.0, 0);
    while let Some(event) = session.wait() {
        match event {
            Event::Opened(kernels) => compiling = Some(CompileBar::watch(common, kernels)),
            Event::Started(start) => {
                compiling = None;
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
                // Steps that were under way may still be told of.
                if elapsed >= args.seconds && !std::mem::replace(&mut over, true) {
                    session.send(Command::Measure);
                    session.send(Command::Stop);
                }
            }
            Event::HeldOut { loss, .. } => {
                first.get_or_insert(loss);
                last = Some(loss);
            }
            Event::Failed(error) => {
                drop(compiling);
                session.join();
                return Err(error.into());
            }
            Event::Warning(text) | Event::Refused(text) => log::warn!("{text}"),
            Event::Finished { step, .. } => {
                if let Some(bar) = progress.take() {
                    bar.finish_and_clear();
                }
                steps = step;
                say(common, format_args!("{step} steps done"));
            }
            // Nothing is explored or watched here.
            _ => {}
        }
    }
    demo_folder::mark(&folder)?;
    if common.json {
        return json_line(&json!({
            "out": folder, "step": steps, "previews": folder.join("previews"),
            "held_out_loss_before": first, "held_out_loss": last,
        }));
    }
    if let (Some(first), Some(last)) = (first, last) {
        out!("held-out loss  {first:.3} before, {last:.3} after")?;
    }
    out!("pictures       {}", folder.join("previews").display())?;
    out!(
        "               visible patches | reconstruction | with visible patches | original, a row a held-out photograph"
    )?;
    let run = folder.display();
    out!(
        "run            {run} (continue it with `unmask train --resume --out {run}`, until Ctrl-C or --stop-after N steps)"
    )
}
