//! Colours and spacing, in one place.

use eframe::egui::{self, Color32};

/// Curves of training loss.
pub const TRAIN: Color32 = Color32::from_rgb(0x5b, 0x9b, 0xd5);
/// Curves of held-out loss.
pub const HELD_OUT: Color32 = Color32::from_rgb(0xe8, 0x8a, 0x3c);
/// Learning rate.
pub const RATE: Color32 = Color32::from_rgb(0x8c, 0xb3, 0x69);
/// Norm of gradients.
pub const NORM: Color32 = Color32::from_rgb(0xb0, 0x7a, 0xc2);
/// Curves of other runs, to compare with.
pub const OTHERS: [Color32; 4] = [
    Color32::from_rgb(0x4c, 0xb0, 0xa8),
    Color32::from_rgb(0xc9, 0xa2, 0x27),
    Color32::from_rgb(0xd0, 0x6a, 0x9a),
    Color32::from_rgb(0x8a, 0x8a, 0x8a),
];
/// Notices of errors.
pub const ERROR: Color32 = Color32::from_rgb(0xd0, 0x4a, 0x4a);
/// Width of a column of controls.
pub const CONTROLS: f32 = 280.0;
/// Windows narrower than this put controls above the pictures.
pub const NARROW: f32 = 700.0;
/// Windows narrower than this have no room for what is merely good to know.
pub const ROOMY: f32 = 1000.0;
/// Most of a narrow window's height that controls below the pictures take.
const BELOW: f32 = 0.4;

/// Sets the app's spacing in both themes. Where a `processor` draws nothing is animated: whatever moves would take its time
/// from what it waits for.
pub fn apply(ctx: &egui::Context, processor: bool) {
    ctx.all_styles_mut(|style| {
        if processor {
            style.animation_time = 0.0;
        }
        style.spacing.item_spacing = egui::vec2(8.0, 6.0);
        style.spacing.slider_width = 150.0;
        style.interaction.selectable_labels = false;
    });
}

/// A panel of controls below the pictures, `wanted` points high where that leaves the pictures their part.
pub fn below(ui: &egui::Ui, id: &str, wanted: f32) -> egui::Panel {
    let most = ui.available_height() * BELOW;
    egui::Panel::bottom(id.to_owned()).resizable(true).default_size(wanted.min(most)).max_size(most.max(60.0))
}

/// A choice between light, dark and what the system says; egui remembers it.
pub fn choice(ui: &mut egui::Ui) {
    let mut preference = ui.ctx().options(|options| options.theme_preference);
    let before = preference;
    let text = |preference| match preference {
        egui::ThemePreference::Light => "Light",
        egui::ThemePreference::Dark => "Dark",
        egui::ThemePreference::System => "System",
    };
    let combo = egui::ComboBox::from_id_salt("theme").width(70.0).selected_text(text(preference)).show_ui(ui, |ui| {
        for choice in [egui::ThemePreference::System, egui::ThemePreference::Light, egui::ThemePreference::Dark] {
            ui.selectable_value(&mut preference, choice, text(choice));
        }
    });
    super::widgets::name(&combo.response, "Theme");
    if preference != before {
        ui.ctx().set_theme(preference);
    }
}

/// Colour of an error from 0 to 1: black, violet, orange, pale yellow, as perceived lightness rises evenly.
pub fn heat(t: f32) -> Color32 {
    const STOPS: [[f32; 3]; 5] =
        [[0.0, 0.0, 4.0], [81.0, 18.0, 124.0], [183.0, 55.0, 121.0], [252.0, 137.0, 97.0], [252.0, 253.0, 191.0]];
    let x = t.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
    let low = (x as usize).min(STOPS.len() - 2);
    let mix = |i: usize| (STOPS[low][i] + (STOPS[low + 1][i] - STOPS[low][i]) * (x - low as f32)) as u8;
    Color32::from_rgb(mix(0), mix(1), mix(2))
}
