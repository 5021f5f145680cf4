//! Progress bars and shared output.

use std::fmt::{Arguments, Display};
use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::Context as _;
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

/// Whoever read standard output has left, as `head` does: there is nobody to tell anything, and nothing is wrong.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads standard output any more")]
pub struct ReaderLeft;

/// Prints `text` on stdout, where results go.
///
/// # Errors
/// [`ReaderLeft`], and the system's, such as a full disk.
pub fn print(text: Arguments<'_>) -> anyhow::Result<()> {
    match io::stdout().lock().write_fmt(text) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ReaderLeft.into()),
        written => written.context("standard output cannot be written"),
    }
}

/// Prints a line on stdout as `println!` does, which would panic where nobody reads on: see [`print`].
macro_rules! out {
    ($($text:tt)*) => {
        $crate::cli::progress::print(format_args!("{}\n", format_args!($($text)*)))
    };
}
pub(super) use out;

/// Prints `value` as one line of JSON.
///
/// # Errors
/// As [`print`].
pub fn json_line(value: &impl serde::Serialize) -> anyhow::Result<()> {
    out!("{}", serde_json::to_string(value)?)
}

/// A line for people on stderr, unless quiet or JSON.
pub fn say(common: &Common, text: impl Display) {
    if !common.quiet && !common.json {
        complain(text);
    }
}

/// An error with its causes, each once: many tell theirs themselves.
pub fn told(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text += &format!(": {cause}");
        }
    }
    text
}

/// A line on stderr; where nobody reads it, work goes on all the same.
pub fn complain(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}
