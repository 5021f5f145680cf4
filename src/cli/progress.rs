//! Progress bars and shared output.

use std::fmt::{Arguments, Display};
use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, WeakProgressBar};

use super::args::Common;

/// Bars that may be drawn at the moment; of these there is hardly ever more than one.
static BARS: Mutex<Vec<WeakProgressBar>> = Mutex::new(Vec::new());

/// Lets `write` write to the terminal while no bar is drawn there, so that nothing is appended to one. Whatever prints
/// anything has to come by here, and only once: `write` must not do so again.
fn beside_bars<T>(write: impl FnOnce() -> T) -> T {
    let bar = {
        // A list of what there is is whole whoever panicked.
        let mut bars = BARS.lock().unwrap_or_else(PoisonError::into_inner);
        bars.retain(|bar| bar.upgrade().is_some_and(|bar| !bar.is_finished()));
        bars.last().and_then(WeakProgressBar::upgrade)
    };
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// The log, whose lines take the place of the bar.
struct Log(env_logger::Logger);

impl log::Log for Log {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.0.matches(record) {
            beside_bars(|| self.0.log(record));
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// Writes what is logged to stderr: what `RUST_LOG` asks for, or else what `filter` does. To be called once.
pub fn log_to_stderr(filter: &str) {
    let logger = env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(filter))
        .format_timestamp(None)
        .format_target(false)
        .build();
    let level = logger.filter();
    // Where there is one already, it stays.
    if log::set_boxed_logger(Box::new(Log(logger))).is_ok() {
        log::set_max_level(level);
    }
}

/// A bar over `steps`, drawn on stderr unless quiet or JSON; starts at `done`.
pub fn bar(common: &Common, steps: u64, done: u64) -> ProgressBar {
    let target = match common.quiet || common.json {
        true => ProgressDrawTarget::hidden(),
        false => ProgressDrawTarget::stderr_with_hz(4),
    };
    let bar = ProgressBar::with_draw_target(Some(steps), target);
    // A template that does not parse would show a plain bar.
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} {elapsed}, {eta} left") {
        bar.set_style(style.progress_chars("━╸─"));
    }
    if !bar.is_hidden() {
        BARS.lock().unwrap_or_else(PoisonError::into_inner).push(bar.downgrade());
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
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {msg} {bytes_per_sec}, {eta} left")
    {
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
    match beside_bars(|| io::stdout().lock().write_fmt(text)) {
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
    let _ = beside_bars(|| writeln!(io::stderr(), "{text}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_no_more_stops_nobody() {
        let drawn = || BARS.lock().expect("no panics").len();
        let quiet = Common { quiet: true, ..Common::default() };
        let hidden = bar(&quiet, 3, 0);
        assert_eq!((hidden.is_hidden(), drawn()), (true, 0));
        let bars = [(); 2].map(|()| ProgressBar::hidden());
        BARS.lock().expect("no panics").extend(bars.iter().map(ProgressBar::downgrade));
        assert_eq!((beside_bars(|| 7), drawn()), (7, 2));
        bars[0].finish();
        assert_eq!((beside_bars(|| 8), drawn()), (8, 1));
        drop(bars);
        assert_eq!((beside_bars(|| 9), drawn()), (9, 0));
    }
}
