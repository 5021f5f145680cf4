//! `unmask` alone: the app where there is one and a display, else the demo.

use std::sync::Arc;

use super::args::{Common, DemoArgs};
use super::demo;
use super::progress::say;
use crate::gpu::Gpu;
use crate::platform;

/// Opens the app's window on a device and returns when it is closed.
pub type Window = fn(Arc<Gpu>) -> anyhow::Result<()>;

/// Opens the app, or runs the demo in the terminal.
pub fn run(common: &Common, window: Option<Window>) -> anyhow::Result<()> {
    match window {
        Some(window) if platform::has_display() => window(pollster::block_on(Gpu::open(&common.gpu_options()))?),
        Some(_) => {
            say(common, "There is no display: this is the demo in the terminal. `unmask --help` lists all commands.\n");
            demo::run(common, &DemoArgs::default())
        }
        None => demo::run(common, &DemoArgs::default()),
    }
}
