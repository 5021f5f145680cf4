//! The only place that knows on which platform the program runs.

mod assets;
mod awake;
mod bytes;
mod cache;
#[cfg(feature = "app")]
mod camera;
mod decoders;
#[cfg(feature = "app")]
mod files;
#[cfg(target_arch = "wasm32")]
mod helper;
mod keep;
mod maker;
mod replace;
mod signal;
mod task;

pub use assets::*;
pub use awake::Awake;
pub use bytes::{Bytes, Spool, Stream};
pub use cache::{recall, remember};
#[cfg(feature = "app")]
pub use camera::{HAS_CAMERA, set_camera};

pub use decoders::{Decoded, Decoders, Decoding};
#[cfg(all(feature = "app", target_arch = "wasm32"))]
pub use files::MOST_GIVEN;
#[cfg(feature = "app")]
pub use files::{Content, HAS_FOLDERS, Incoming, pick_files, pick_folder, read_dropped, save_file};
pub use keep::{KEEPS, keep, leave_kept, run_began};
pub use maker::gpu_maker;
pub use replace::{UNFINISHED, replace, write_whole};
pub use signal::{Notifier, Waiter, signal};
pub use task::{nap, pause, sleep, spawn};

/// The value of an environment variable; `None` in a browser or where it is unset or empty.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether a window can be opened: elsewhere than on Unix there is always a display.
pub fn has_display() -> bool {
    let unix = cfg!(all(unix, not(target_os = "macos")));
    !unix || variable("DISPLAY").is_some() || variable("WAYLAND_DISPLAY").is_some()
}

/// Keeps Mesa's layer that chooses between adapters from asking a Wayland compositor where there can be none: it prints an
/// error for every question, as in a container, and this program chooses by itself. Of those who choose by that layer it
/// stays. To be called before there is a second thread.
#[cfg(not(target_arch = "wasm32"))]
pub fn quiet_drivers() {
    let chosen = ["XDG_RUNTIME_DIR", "NODEVICE_SELECT", "MESA_VK_DEVICE_SELECT", "DRI_PRIME"];
    if cfg!(target_os = "linux") && chosen.into_iter().all(|name| variable(name).is_none()) {
        // SAFETY: no other thread reads the environment meanwhile, as there is none yet.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
}

/// Lets the program hold as many files open as the system allows it: each archive of a data set is one, and where a shell
/// allows 256 by default, as on macOS, a thousand of them are refused.
#[cfg(feature = "cli")]
pub fn allow_files() {
    #[cfg(unix)]
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        log::info!("the limit of open files stays: {error}");
    }
}

/// Milliseconds on the device below which its clock tells little: browsers make it coarse on purpose.
pub const LEAST_TIMED: f64 = if cfg!(target_arch = "wasm32") { 2.0 } else { 0.5 };

/// Number of threads worth starting for work that keeps a processor busy, at least 1.
///
/// 1 in the browser, which offers a page no threads.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |count| count.get())
}

/// Seconds since this function was first called, on a clock that never goes back.
pub fn now_seconds() -> f64 {
    use std::sync::OnceLock;
    use web_time::Instant;

    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_thread_and_the_clock_never_goes_back() {
        assert!(threads() >= 1);
        let earlier = now_seconds();
        assert!(earlier >= 0.0);
        assert!(now_seconds() >= earlier);
    }
}
