//! The main job in a terminal: a small model learns for a minute, with pictures before and after.

use anyhow::bail;
use indicatif::ProgressBar;
use serde_json::json;

use super::args::{Common, DemoArgs};
use super::compile_bar::CompileBar;
use super::demo_folder;
use super::interrupt::Interrupt;
use super::progress::{bar, json_line, out, say};
use super::train::{Ended, watch};
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
    let interrupt = Interrupt::catch(common, &ENDING)?;
    let session = Session::start(job)?;
    interrupt.reaches(&session);
    let mut demo = Demo::new(common, args.seconds);
    match watch(session, |session, event| demo.see(session, event))? {
        Ended::Finished => {}
        Ended::Cancelled => {
            say(common, "stopped before it began; nothing was written");
            return Ok(());
        }
        Ended::Lost(reason) => bail!("{reason}"),
    }
    let Demo { first, last, steps, .. } = demo;
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

/// What ends a demo.
const ENDING: [Command; 3] = [Command::Save, Command::Measure, Command::Stop];

/// A demo as it goes on.
struct Demo<'a> {
    common: &'a Common,
    /// How long it is to train.
    seconds: f64,
    compiling: Option<CompileBar>,
    progress: Option<ProgressBar>,
    /// When it began to train.
    started: f64,
    over: bool,
    /// Held-out losses before and after.
    first: Option<f64>,
    last: Option<f64>,
    /// Steps done, at the end.
    steps: u64,
}

impl<'a> Demo<'a> {
    fn new(common: &'a Common, seconds: f64) -> Demo<'a> {
        let (compiling, progress, first, last) = (None, None, None, None);
        Demo { common, seconds, compiling, progress, started: 0.0, over: false, first, last, steps: 0 }
    }

    /// Says what `event` tells, and ends the run when its time is over.
    fn see(&mut self, session: &Session, event: &Event) {
        let common = self.common;
        match event {
            Event::Opened(kernels) => self.compiling = Some(CompileBar::watch(common, kernels.clone())),
            Event::Started(start) => {
                self.compiling = None;
                say(common, format_args!("adapter   {} ({})", start.adapter.name, start.adapter.backend));
                say(common, format_args!("pictures  {} to train on, {} held out", start.pictures, start.held_out));
                self.started = platform::now_seconds();
                self.progress = Some(bar(common, self.seconds.ceil() as u64, 0));
            }
            Event::Step(line) => {
                let elapsed = platform::now_seconds() - self.started;
                if let Some(bar) = &self.progress {
                    let (loss, speed) = (line.loss.unwrap_or_default(), line.images_per_s.unwrap_or_default());
                    bar.set_position((elapsed as u64).min(self.seconds as u64));
                    bar.set_message(format!("s  step {} loss {loss:.3} {speed:.0} images/s", line.step));
                }
                // Steps that were under way may still be told of.
                if elapsed >= self.seconds && !std::mem::replace(&mut self.over, true) {
                    for command in ENDING {
                        session.send(command);
                    }
                }
            }
            Event::HeldOut { loss, .. } => {
                self.first.get_or_insert(*loss);
                self.last = Some(*loss);
            }
            Event::Warning(text) | Event::Refused { reason: text, .. } => log::warn!("{text}"),
            Event::Finished { step, .. } => {
                if let Some(bar) = self.progress.take() {
                    bar.finish_and_clear();
                }
                self.steps = *step;
                say(common, format_args!("{step} steps done"));
            }
            Event::Failed(_) | Event::Lost(_) | Event::Cancelled => {
                self.compiling = None;
                if let Some(bar) = self.progress.take() {
                    bar.abandon();
                }
            }
            // Nothing is explored or watched here.
            _ => {}
        }
    }
}
