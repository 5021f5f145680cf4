//! The `unmask` program; see `unmask --help`.

fn main() -> std::process::ExitCode {
    unmask::cli::main(WINDOW)
}

/// What opens where there is a display and no command is given.
#[cfg(feature = "app")]
const WINDOW: Option<unmask::cli::Window> = Some(|gpu| Ok(unmask::desktop::run(gpu)?));

#[cfg(not(feature = "app"))]
const WINDOW: Option<unmask::cli::Window> = None;
