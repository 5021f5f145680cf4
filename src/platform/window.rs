//! The window on the desktop. A page has a canvas instead, which is the business of the room `web`.

use eframe::AppCreator;
use eframe::egui::{IconData, ViewportBuilder};
use eframe::egui_wgpu::WgpuSetup;

/// Opens a window that draws by `setup` and runs the app that `create` makes until it is closed.
#[cfg(not(target_arch = "wasm32"))]
pub fn open_window(viewport: ViewportBuilder, setup: WgpuSetup, create: AppCreator<'_>) -> Result<(), String> {
    let options = eframe::NativeOptions {
        viewport,
        wgpu_options: eframe::WgpuConfiguration { wgpu_setup: setup, ..eframe::WgpuConfiguration::default() },
        ..eframe::NativeOptions::default()
    };
    eframe::run_native("unmask", options, create).map_err(|error| error.to_string())
}

/// A page opens no window.
#[cfg(target_arch = "wasm32")]
pub fn open_window(_viewport: ViewportBuilder, _setup: WgpuSetup, _create: AppCreator<'_>) -> Result<(), String> {
    Err("a page has no windows".to_owned())
}

/// The picture in `png` as the icon of a window.
#[cfg(not(target_arch = "wasm32"))]
pub fn icon(png: &[u8]) -> Option<IconData> {
    eframe::icon_data::from_png_bytes(png).ok()
}

/// A page's icon is that of its HTML.
#[cfg(target_arch = "wasm32")]
pub fn icon(_png: &[u8]) -> Option<IconData> {
    None
}
