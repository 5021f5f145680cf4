//! The surface that egui draws to, on the engine's own device.

use eframe::egui;
use eframe::egui_wgpu::{WgpuSetup, WgpuSetupExisting};

use crate::gpu::Gpu;

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
