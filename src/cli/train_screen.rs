//! What a run says on the terminal: lines and a progress bar, or lines of JSON.

use indicatif::ProgressBar;
use serde_json::json;

use super::args::Common;
use super::compile_bar::CompileBar;
use super::progress::{bar, json_line, say};
use crate::session::{Event, Started};
use crate::train::MetricsLine;

/// The lines and bars of one run.
pub struct TrainScreen<'a> {
    common: &'a Common,
    compiling: Option<CompileBar>,
    progress: Option<ProgressBar>,
    held_out: Option<f64>,
    last: Option<MetricsLine>,
    /// Steps that were done before, and steps in all.
    steps: [u64; 2],
}

/// How a run that began after `before` of `all` steps ended after `step`, `asked` to by its user or not.
fn ending(step: u64, [before, all]: [u64; 2], asked: bool) -> String {
    let steps = if all == 1 { "step" } else { "steps" };
    if step == all && before == all {
        return format!("the run was complete already: {step} of {all} {steps}; --steps with a larger number goes on");
    }
    if step < all && asked {
        return format!("stopped at {step} of {all} {steps}, everything saved; --resume goes on");
    }
    let steps = if step == 1 { "step" } else { "steps" };
    format!("done after {step} {steps}, everything saved")
}

impl<'a> TrainScreen<'a> {
    /// Before anything is said.
    pub fn new(common: &'a Common) -> TrainScreen<'a> {
        TrainScreen { common, compiling: None, progress: None, held_out: None, last: None, steps: [0, 0] }
    }

    /// Says what `event` tells, of a run that its user `asked` to stop before its end or not.
    pub fn show(&mut self, event: &Event, asked: bool) {
        match event {
            Event::Opened(kernels) => self.compiling = Some(CompileBar::watch(self.common, kernels.clone())),
            Event::Started(start) => self.started(start),
            Event::Step(line) => {
                self.last = Some(line.clone());
                self.draw();
            }
            Event::HeldOut { step, loss } => {
                self.held_out = Some(*loss);
                self.draw();
                if self.progress.is_some() {
                    say(self.common, format_args!("step {step}: held-out loss {loss:.4}"));
                }
            }
            Event::Saved(path) | Event::Preview(path) => log::info!("wrote {}", path.display()),
            Event::Warning(text) | Event::Refused { reason: text, .. } => log::warn!("{text}"),
            Event::Finished { step, waited } => {
                if let Some(bar) = self.progress.take() {
                    bar.finish_and_clear();
                }
                let idle = match *waited > 0.0 {
                    true => format!("; the adapter waited for pictures {:.1} % of the time", waited * 100.0),
                    false => String::new(),
                };
                say(self.common, format_args!("{}{idle}", ending(*step, self.steps, asked)));
            }
            Event::Failed(_) | Event::Lost(_) => {
                self.compiling = None;
                if let Some(bar) = self.progress.take() {
                    bar.abandon();
                }
            }
            Event::Cancelled => {
                self.compiling = None;
                say(self.common, "stopped before it began; nothing was written");
            }
            // Nothing is explored or watched here.
            _ => {}
        }
    }

    fn started(&mut self, start: &Started) {
        self.compiling = None;
        self.steps = [start.step, start.steps];
        let adapter = &start.adapter;
        say(self.common, format_args!("adapter   {} ({}, {})", adapter.name, adapter.backend, adapter.driver));
        let skipped = match start.skipped.len() {
            0 => String::new(),
            count => format!(", {count} unreadable"),
        };
        say(
            self.common,
            format_args!(
                "pictures  {} to train on, {} held out, {} of them measured{skipped}",
                start.pictures, start.held_out, start.measured
            ),
        );
        let passes = start.steps as f64 * start.batch as f64 / start.pictures.max(1) as f64;
        say(
            self.common,
            format_args!("steps     {} of {} pictures, {passes:.1} passes over them", start.steps, start.batch),
        );
        say(self.common, format_args!("memory    {} estimated", start.estimate));
        if let Some(out) = &start.out {
            say(self.common, format_args!("run       {}", out.display()));
        }
        self.progress = Some(bar(self.common, start.steps, start.step));
    }

    /// What is known of the last step.
    fn draw(&self) {
        let (Some(bar), Some(line)) = (&self.progress, &self.last) else { return };
        bar.set_position(line.step);
        let held = self.held_out.map(|loss| format!(" (held out {loss:.4})")).unwrap_or_default();
        let (loss, speed) = (line.loss.unwrap_or_default(), line.images_per_s.unwrap_or_default());
        bar.set_message(format!("loss {loss:.4}{held} {speed:.0} images/s"));
    }
}

/// Prints `event` as a line of JSON, if it is one that programs are told.
///
/// # Errors
/// Those of standard output, such as that nobody reads it any more.
pub fn report_json(event: &Event) -> anyhow::Result<()> {
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
        Event::Warning(text) | Event::Refused { reason: text, .. } => {
            json_line(&json!({"event": "warning", "text": text}))
        }
        Event::Finished { step, waited } => {
            json_line(&json!({"event": "finished", "step": step, "waited_share": waited}))
        }
        Event::Cancelled => json_line(&json!({"event": "cancelled"})),
        Event::Failed(error) => json_line(&json!({"event": "failed", "error": error.to_string()})),
        Event::Lost(reason) => json_line(&json!({"event": "lost", "error": reason})),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_has_steps_left_is_not_done() {
        assert_eq!(ending(3, [0, 10], true), "stopped at 3 of 10 steps, everything saved; --resume goes on");
        assert_eq!(ending(10, [3, 10], true), "done after 10 steps, everything saved");
        // By early stopping, of which a warning tells.
        assert_eq!(ending(3, [0, 10], false), "done after 3 steps, everything saved");
        let complete = ending(10, [10, 10], false);
        assert_eq!(complete, "the run was complete already: 10 of 10 steps; --steps with a larger number goes on");
    }
}
