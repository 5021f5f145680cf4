//! How a masked autoencoder works, with the numbers of the model at hand.

use eframe::egui;

use super::widgets;
use crate::mae::{self, MaeConfig};
use crate::ops::MaskStrategy;
use crate::session::Model;

/// Draws the page; true where the user wants the tour.
pub fn ui(ui: &mut egui::Ui, model: Option<&Model>) -> bool {
    let micro = mae::preset("micro").ok();
    let Some(config) = model.map(|model| &model.config).or(micro.as_ref()) else { return false };
    let (all, visible) = (config.patches(), config.visible());
    let mut tour = false;
    egui::CentralPanel::default().show(ui, |ui| {
        egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            ui.set_max_width(ui.available_width().min(720.0));
            ui.horizontal(|ui| {
                ui.heading("How it works");
                tour = ui.button("Take the tour").on_hover_text("the panels of this program, one by one").clicked();
            });
            ui.label(
                "A masked autoencoder learns to see by repairing pictures. It needs no labels: \
                 hide most of a picture, rebuild it, compare.",
            );
            ui.add_space(8.0);
            journey(ui, config);
            ui.add_space(8.0);
            for (title, text) in [
                (
                    "1  Cut",
                    format!(
                        "The picture, {0} by {0} pixels, becomes {all} patches of {1} by {1} pixels.",
                        config.image_size, config.patch_size
                    ),
                ),
                (
                    "2  Hide",
                    format!(
                        "{:.0} % of the patches are hidden, {}: {visible} of {all} stay. Neighbours of a hidden patch are \
                         mostly hidden too, so copying will not do; the model has to know what things look like.",
                        config.mask_ratio * 100.0,
                        match config.mask_strategy {
                            MaskStrategy::Random => "chosen at random",
                            MaskStrategy::Block => "in blocks",
                            MaskStrategy::Grid => "in a regular grid",
                        }
                    ),
                ),
                (
                    "3  Encode",
                    format!(
                        "A vision transformer of {} blocks, {} numbers a token, sees the {visible} visible patches and nothing \
                         else. That is where the speed comes from: {} a picture where a model that sees masks too needs {}.",
                        config.depth,
                        config.width,
                        flops(encoder_flops(config, visible + 1)),
                        flops(encoder_flops(config, all + 1))
                    ),
                ),
                (
                    "4  Decode",
                    format!(
                        "A light decoder, {} blocks of {} numbers, gets the encoded patches in their places and one learned \
                         mask token in all others, and predicts the pixels of every patch.",
                        config.decoder_depth, config.decoder_width
                    ),
                ),
                (
                    "5  Compare",
                    "The loss is the mean square error over hidden patches alone. Its gradient flows back through decoder and \
                     encoder, and AdamW takes a small step."
                        .to_owned(),
                ),
                (
                    "6  Use",
                    "After training the decoder is thrown away. The encoder has learned features that serve for \
                     recognising, finding and segmenting."
                        .to_owned(),
                ),
            ] {
                ui.strong(title);
                ui.label(text);
                ui.add_space(4.0);
            }
            if let Some(model) = model {
                ui.weak(format!("Numbers of {}, {}", model.name, widgets::count(model.parameters)));
            }
            ui.hyperlink_to(
                "He et al. 2021, Masked Autoencoders Are Scalable Vision Learners",
                "https://arxiv.org/abs/2111.06377",
            );
        });
    });
    tour
}

/// Floating-point operations of the encoder's blocks on `tokens` tokens, forward.
fn encoder_flops(config: &MaeConfig, tokens: usize) -> f64 {
    let (n, d, mlp) = (tokens as f64, config.width as f64, config.mlp_width() as f64);
    let products = 4.0 * d * d + 2.0 * d * mlp;
    config.depth as f64 * (2.0 * n * products + 4.0 * n * n * d)
}

/// Floating-point operations, for people.
fn flops(count: f64) -> String {
    if count < 1e9 { format!("{:.0} MFLOP", count / 1e6) } else { format!("{:.1} GFLOP", count / 1e9) }
}

/// The journey as a row of boxes: patches, visible ones, encoder, decoder, picture.
fn journey(ui: &mut egui::Ui, config: &MaeConfig) {
    let (all, visible) = (config.patches(), config.visible());
    let stages = [
        ("picture", format!("{all} patches"), 1.0),
        ("hide", format!("{visible} visible"), visible as f32 / all as f32),
        ("encoder", format!("{} × {}", visible + 1, config.width), visible as f32 / all as f32),
        ("decoder", format!("{} × {}", all + 1, config.decoder_width), 1.0),
        ("pixels", format!("{all} × {}", config.patch_len()), 1.0),
    ];
    let width = ui.available_width().min(700.0);
    let (rect, response) = ui.allocate_exact_size(egui::vec2(width, 110.0), egui::Sense::hover());
    widgets::name_image(&response, "The data's journey");
    let step = width / stages.len() as f32;
    let painter = ui.painter();
    let (text, line) = (ui.visuals().text_color(), ui.visuals().widgets.noninteractive.fg_stroke);
    let strong = ui.visuals().strong_text_color();
    // The longest name fits its box in narrow windows too.
    let names = egui::FontId::proportional((step * 0.17).min(14.0));
    for (index, (name, size, share)) in stages.iter().enumerate() {
        let centre = egui::pos2(rect.left() + step * (index as f32 + 0.5), rect.top() + 45.0);
        let height = 16.0 + 60.0 * share;
        let shape = egui::Rect::from_center_size(centre, egui::vec2(step * 0.62, height));
        painter.rect_filled(shape, 6.0, super::theme::TRAIN.gamma_multiply(if index == 2 { 0.65 } else { 0.35 }));
        painter.text(centre, egui::Align2::CENTER_CENTER, name, names.clone(), strong);
        let below = egui::pos2(centre.x, rect.bottom() - 10.0);
        painter.text(below, egui::Align2::CENTER_CENTER, size, egui::FontId::proportional(12.0), text);
        if index + 1 < stages.len() {
            let from = egui::pos2(centre.x + step * 0.33, centre.y);
            painter.arrow(from, egui::vec2(step * 0.32, 0.0), egui::Stroke::new(1.5, line.color));
        }
    }
}
