//! The desktop window.

use std::sync::Arc;

use eframe::egui;
use eframe::egui_wgpu::{WgpuSetup, WgpuSetupExisting};

use super::App;
use crate::gpu::{Gpu, GpuError};
use crate::platform;

/// Why the window did not open, or closed.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    /// No device.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// No window.
    #[error("the window cannot be opened: {0}")]
    Window(String),
}

/// egui's set-up for drawing on the engine's own device.
pub fn setup(gpu: &Gpu) -> WgpuSetup {
    WgpuSetup::Existing(WgpuSetupExisting {
        instance: gpu.instance().clone(),
        adapter: gpu.adapter().clone(),
        device: gpu.device().clone(),
        queue: gpu.queue().clone(),
    })
}

/// Configures the window's surface again where training kept the device too busy for it; once a frame.
pub fn keep_surface(gpu: &Gpu, frame: &mut eframe::Frame, ctx: &egui::Context) {
    let stale = gpu.take_stale_surface();
    gpu.hold(stale);
    if let (true, Some(mut config)) = (stale, frame.wgpu_surface_config()) {
        // Only a change makes egui configure the surface; one frame more or less in the queue is not seen.
        config.desired_maximum_frame_latency = match config.desired_maximum_frame_latency {
            Some(1) => Some(2),
            _ => Some(1),
        };
        frame.set_wgpu_surface_config(config);
        ctx.request_repaint();
    }
}

/// Opens the window on `gpu` and runs it until it is closed.
///
/// # Errors
/// Where there is no display, or the device cannot draw to it; always on a page, which has a canvas instead.
pub fn run(gpu: Arc<Gpu>) -> Result<(), WindowError> {
    let mut viewport = egui::ViewportBuilder::default()
        .with_title("Unmask")
        .with_app_id("unmask")
        .with_inner_size([1180.0, 760.0])
        .with_min_inner_size([360.0, 320.0])
        .with_drag_and_drop(true);
    if let Some(icon) = platform::icon(include_bytes!("../../assets/icon.png")) {
        viewport = viewport.with_icon(icon);
    }
    let setup = setup(&gpu);
    platform::open_window(viewport, setup, Box::new(move |cc| Ok(Box::new(App::new(gpu, cc)?))))
        .map_err(WindowError::Window)
}
