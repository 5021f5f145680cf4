//! Progress bars and shared output.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::Common;

/// A bar over `steps`, drawn on stderr unless quiet or JSON; starts at `done`.
pub fn bar(common: &Common, steps: u64, done: u64) -> ProgressBar {
    let target = match common.quiet || common.json {
        true => ProgressDrawTarget::hidden(),
        false => ProgressDrawTarget::stderr_with_hz(4),
    };
    let bar = ProgressBar::with_draw_target(Some(steps), target);
    // A template that does not parse would show a plain bar.
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} {elapsed} left {eta}") {
        bar.set_style(style.progress_chars("━╸─"));
    }
    bar.set_position(done);
    bar.reset_eta();
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// A bar over the bytes of `file`.
pub fn byte_bar(common: &Common, file: &str, bytes: u64) -> ProgressBar {
    let bar = bar(common, bytes, 0);
    // A template that does not parse would show a plain bar.
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {msg} {bytes_per_sec} left {eta}") {
        bar.set_style(style.progress_chars("━╸─"));
    }
    bar.set_message(file.to_owned());
    bar
}

/// Prints `value` as one line of JSON.
pub fn json_line(value: &impl serde::Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(value)?);
    Ok(())
}

/// A line for people on stderr, unless quiet or JSON.
pub fn say(common: &Common, text: impl std::fmt::Display) {
    if !common.quiet && !common.json {
        eprintln!("{text}");
    }
}
