//! Costs and the adapter, as tables.

use eframe::egui;

use crate::app::frames::{FrameTimes, Frames};
use crate::app::widgets;
use crate::gpu::Gpu;
use crate::platform;
use crate::train::Profile;

/// Parameters that get a line of their own.
const MOST_LINES: usize = 24;

/// Counts frames, where that is asked for, and tells how smooth they are.
pub(super) fn frames(ui: &mut egui::Ui, frames: &mut Option<Frames>) {
    ui.horizontal_wrapped(|ui| {
        let mut counting = frames.is_some();
        let hint = "draws without a pause and tells the times between frames: try it while a model trains";
        if ui.checkbox(&mut counting, "Count frames").on_hover_text(hint).changed() {
            *frames = counting.then(Frames::default);
        }
        let Some(frames) = frames else { return };
        frames.drawn(platform::now_seconds());
        ui.ctx().request_repaint();
        if let Some(FrameTimes { frames, median, percentile_95, longest }) = frames.times() {
            ui.monospace(format!(
                "{frames} frames: median {median:.1} ms, 95th percentile {percentile_95:.1} ms, longest {longest:.0} ms"
            ));
        }
    });
}

/// Draws what a reconstruction costs; true where it is to be measured.
pub(super) fn costs(ui: &mut egui::Ui, profile: Option<&Profile>, measuring: bool) -> bool {
    let mut measure = false;
    ui.horizontal(|ui| {
        let button = ui.add_enabled(!measuring, egui::Button::new("Measure"));
        measure = button.on_hover_text("one reconstruction of the picture under Explore, op by op").clicked();
        if measuring {
            widgets::busy(ui);
        }
    });
    let Some(profile) = profile else {
        ui.weak("Milliseconds on the GPU by op, and memory by tensor, of one reconstruction.");
        return measure;
    };
    egui::ScrollArea::both().auto_shrink(false).show(ui, |ui| {
        ui.heading("Time by op");
        match &profile.ops {
            None => {
                ui.label("This adapter has no timestamps.");
            }
            Some(ops) => {
                let total: f64 = ops.iter().map(|op| op.milliseconds).sum();
                table(ui, "ops", &["op", "launches", "ms", "share"], |ui| {
                    for op in ops {
                        ui.label(op.op);
                        ui.monospace(op.launches.to_string());
                        ui.monospace(format!("{:.3}", op.milliseconds));
                        let share = if total > 0.0 { op.milliseconds / total } else { 0.0 };
                        ui.add(egui::ProgressBar::new(share as f32).desired_width(120.0).show_percentage());
                        ui.end_row();
                    }
                    ui.strong("all");
                    ui.monospace(ops.iter().map(|op| op.launches).sum::<usize>().to_string());
                    ui.monospace(format!("{total:.3}"));
                    ui.end_row();
                });
            }
        }
        ui.add_space(8.0);
        ui.heading("Memory by tensor");
        let parameters: u64 = profile.parameters.iter().map(|tensor| tensor.bytes).sum();
        table(ui, "memory", &["tensor", "shape", "size"], |ui| {
            ui.strong("activations").on_hover_text("tensors whose lives do not overlap share a buffer");
            ui.label(format!("{} shared buffers", profile.slots));
            ui.monospace(size(profile.activations));
            ui.end_row();
            ui.strong("parameters");
            ui.label(format!("{} tensors", profile.parameters.len()));
            ui.monospace(size(parameters));
            ui.end_row();
            for tensor in profile.parameters.iter().take(MOST_LINES) {
                ui.label(&tensor.name);
                let shape: Vec<String> = tensor.shape.iter().map(usize::to_string).collect();
                ui.label(shape.join(" × "));
                ui.monospace(size(tensor.bytes));
                ui.end_row();
            }
            if let Some(rest) = profile.parameters.get(MOST_LINES..).filter(|rest| !rest.is_empty()) {
                ui.weak(format!("{} more", rest.len()));
                ui.label("");
                ui.monospace(size(rest.iter().map(|tensor| tensor.bytes).sum()));
                ui.end_row();
            }
        });
    });
    measure
}

/// Draws what the adapter is and can do.
pub(super) fn adapter(ui: &mut egui::Ui, gpu: &Gpu) {
    let (summary, limits) = (gpu.summary(), gpu.limits());
    egui::ScrollArea::both().auto_shrink(false).show(ui, |ui| {
        ui.heading("Adapter");
        let kernels = if gpu.is_cpu() { "for processors" } else { "for GPUs" };
        table(ui, "adapter", &[], |ui| {
            for (name, value) in [
                ("name", summary.name.as_str()),
                ("kind", &summary.kind),
                ("backend", &summary.backend),
                ("driver", &summary.driver),
                ("kernels", kernels),
            ] {
                ui.label(name);
                ui.label(value);
                ui.end_row();
            }
        });
        ui.add_space(8.0);
        ui.heading("Features in use");
        table(ui, "features", &[], |ui| {
            for (name, feature) in [
                ("timestamps", wgpu::Features::TIMESTAMP_QUERY),
                ("16-bit floats", wgpu::Features::SHADER_F16),
                ("subgroups", wgpu::Features::SUBGROUP),
            ] {
                ui.label(name);
                ui.label(if gpu.features().contains(feature) { "yes" } else { "no" });
                ui.end_row();
            }
        });
        ui.add_space(8.0);
        ui.heading("Limits");
        table(ui, "limits", &[], |ui| {
            for (name, value) in [
                ("largest buffer", widgets::bytes(limits.max_buffer_size)),
                ("largest storage binding", widgets::bytes(limits.max_storage_buffer_binding_size)),
                ("storage buffers a shader stage", limits.max_storage_buffers_per_shader_stage.to_string()),
                ("workgroup memory", size(u64::from(limits.max_compute_workgroup_storage_size))),
                ("invocations a workgroup", limits.max_compute_invocations_per_workgroup.to_string()),
                ("workgroups along an axis", limits.max_compute_workgroups_per_dimension.to_string()),
                ("largest texture", format!("{0} × {0}", limits.max_texture_dimension_2d)),
            ] {
                ui.label(name);
                ui.monospace(value);
                ui.end_row();
            }
        });
    });
}

fn table(ui: &mut egui::Ui, id: &str, head: &[&str], rows: impl FnOnce(&mut egui::Ui)) {
    egui::Grid::new(id).striped(true).spacing([24.0, 4.0]).show(ui, |ui| {
        for name in head {
            ui.weak(*name);
        }
        if !head.is_empty() {
            ui.end_row();
        }
        rows(ui);
    });
}

/// Bytes down to a kibibyte, for people.
fn size(bytes: u64) -> String {
    if bytes < 1 << 20 { format!("{:.1} KiB", bytes as f64 / 1024.0) } else { widgets::bytes(bytes) }
}
