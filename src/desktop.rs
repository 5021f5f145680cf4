//! The desktop window.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eframe::egui;
use eframe::egui_wgpu::WgpuConfiguration;

use crate::app::{App, Recovery, setup};
use crate::gpu::{Gpu, GpuError};

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

/// What outlives one device, on its way to an app on another.
type Slot = Arc<Mutex<Option<Recovery>>>;

fn held(slot: &Slot) -> MutexGuard<'_, Option<Recovery>> {
    // Nobody panics while holding it.
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens the window on `gpu` and runs it until it is closed.
///
/// # Errors
/// Where there is no display, or the device cannot draw to it.
pub fn run(gpu: Arc<Gpu>) -> Result<(), WindowError> {
    let (waiting, lost) = (Slot::default(), Slot::default());
    let mut gpu = gpu;
    loop {
        let window = AssertUnwindSafe(|| open(gpu.clone(), &waiting, &lost));
        // egui's renderer panics where the device goes while it draws; the app has left what matters in `lost` then.
        let ended = catch_unwind(window);
        let Some(recovery) = held(&lost).take() else {
            // It waits where the window did not open.
            if let Some(recovery) = held(&waiting).take() {
                rescue(&recovery);
            }
            return ended.unwrap_or_else(|panic| resume_unwind(panic));
        };
        gpu = match pollster::block_on(gpu.reopen()) {
            Ok(gpu) => gpu,
            Err(error) => {
                rescue(&recovery);
                return Err(error.into());
            }
        };
        *held(&waiting) = Some(recovery);
    }
}

/// Saves what of `recovery` no app takes up: nothing else of it will outlive the program.
fn rescue(recovery: &Recovery) {
    match recovery.rescue().transpose() {
        Some(Ok(file)) => log::warn!("what was in training is saved: {}", file.display()),
        Some(Err(error)) => log::error!("what was in training could not be saved: {error}"),
        None => {}
    }
}

/// Runs one window until it is closed, or its device is gone: then what outlives it is left in `lost`. The app takes up
/// what is `waiting` once it is there.
fn open(gpu: Arc<Gpu>, waiting: &Slot, lost: &Slot) -> Result<(), WindowError> {
    let icon = eframe::icon_data::from_png_bytes(include_bytes!("../assets/icon.png")).ok();
    let mut viewport = egui::ViewportBuilder::default()
        .with_title("Unmask")
        .with_app_id("unmask")
        .with_inner_size([1180.0, 760.0])
        .with_min_inner_size([360.0, 320.0])
        .with_drag_and_drop(true);
    if let Some(icon) = icon {
        viewport = viewport.with_icon(icon);
    }
    let options = eframe::NativeOptions {
        viewport,
        wgpu_options: WgpuConfiguration { wgpu_setup: setup(&gpu), ..WgpuConfiguration::default() },
        ..eframe::NativeOptions::default()
    };
    let (waiting, lost) = (waiting.clone(), lost.clone());
    let create: eframe::AppCreator<'_> = Box::new(move |cc| {
        let mut app = App::new(gpu, cc)?;
        let recovery = held(&waiting).take();
        if let Some(recovery) = recovery {
            app.recover(recovery);
        }
        let ctx = cc.egui_ctx.clone();
        app.on_lost(Box::new(move |recovery| {
            *held(&lost) = Some(recovery);
            ctx.send_viewport_cmd(egui::ViewportCommand::Close);
        }));
        Ok(Box::new(app))
    });
    eframe::run_native("unmask", options, create).map_err(|error| WindowError::Window(error.to_string()))
}
