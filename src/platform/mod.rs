//! The only place that knows on which platform the program runs.

mod signal;

pub use signal::{Notifier, Waiter, signal};

/// The value of an environment variable; `None` in a browser or where it is unset or empty.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
