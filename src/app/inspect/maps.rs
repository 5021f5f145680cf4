//! Numbers of patches as colours over the picture.

use eframe::egui::{self, Color32, Rect, Vec2};

use super::Inspect;
use crate::app::explore::Explore;
use crate::app::pictures::{self, View};
use crate::app::textures::Textures;
use crate::app::{theme, widgets};
use crate::train::{Filters, Looked};

/// Side of a filter on the screen, points.
const FILTER: f32 = 44.0;
/// Filters a row of the texture.
const ROW: usize = 16;

/// What is drawn over the picture.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Map {
    Picture,
    Attention,
    Features,
    Components,
    Positions,
}

const MAPS: [(Map, &str, &str); 5] = [
    (Map::Picture, "Picture", "the patch that looks is framed; click another one, or Tab here and arrow keys"),
    (Map::Attention, "Attention", "how much the token looks at each patch, brightest where most"),
    (Map::Features, "Feature similarity", "cosine of each patch's feature after this layer with the token's"),
    (Map::Components, "Principal components", "the first three of the patches' features, as red, green and blue"),
    (Map::Positions, "Position similarity", "cosine of each position's code with the token's: what the table knows"),
];

impl Inspect {
    /// Draws every map; a click on one chooses the token.
    pub(super) fn maps(&mut self, ui: &mut egui::Ui, explore: &Explore, textures: &mut Textures) {
        let (Some(shown), Some(looked)) = (explore.result(), self.looked.clone()) else {
            ui.centered_and_justified(widgets::busy);
            return;
        };
        let Some(texture) = textures.id(ui.ctx(), &shown.texture) else {
            ui.label("egui does not draw with wgpu here");
            return;
        };
        let text = 2.0 * ui.text_style_height(&egui::TextStyle::Body) + 14.0;
        let (columns, side) = pictures::arrange(MAPS.len(), ui.available_size(), 10.0, text);
        pictures::grid(ui, "maps", [columns as f32, side, 10.0], |ui| {
            for (index, (map, name, hint)) in MAPS.into_iter().enumerate() {
                ui.vertical(|ui| {
                    ui.set_width(side);
                    ui.add(egui::Label::new(name).truncate()).on_hover_text(hint);
                    let (rect, response) = ui.allocate_exact_size(Vec2::splat(side), egui::Sense::click_and_drag());
                    widgets::name_image(&response, name);
                    let dim = if map == Map::Picture { Color32::WHITE } else { Color32::from_gray(110) };
                    ui.painter().image(texture, rect, pictures::part(View::Original), dim);
                    let note = self.draw(ui.painter(), rect, map, &looked);
                    self.frame(ui, rect, &looked);
                    ui.weak(note);
                    self.choose(ui, rect, &response, looked.grid);
                });
                if index % columns == columns - 1 {
                    ui.end_row();
                }
            }
        });
    }

    /// Has the patch look that is clicked, or that arrow keys moved to.
    fn choose(&mut self, ui: &egui::Ui, rect: Rect, response: &egui::Response, grid: usize) {
        let pointer = response.interact_pointer_pos();
        if let Some(patch) = pointer.and_then(|at| pictures::patch_at(rect, grid, at)) {
            self.token = Some(1 + patch);
            return;
        }
        let before = self.asked.map_or(0, |look| look.token);
        let mut patch = before.saturating_sub(1);
        pictures::by_keys(ui, rect, response, grid, &mut patch);
        // From the class token on nothing moves by itself.
        if response.has_focus() && patch != before.saturating_sub(1) {
            self.token = Some(1 + patch);
        }
    }

    /// Draws `map` into `rect`; a few words about it.
    fn draw(&self, painter: &egui::Painter, rect: Rect, map: Map, looked: &Looked) -> String {
        match map {
            Map::Picture => "click a patch".to_owned(),
            Map::Attention => {
                let row = match self.head.and_then(|head| looked.attention.get(head)) {
                    Some(row) => row,
                    None => &looked.mean_attention,
                };
                let most = row[1..].iter().copied().fold(1e-12, f32::max);
                heat(painter, rect, looked.grid, &row[1..], 0.0, most);
                format!("up to {:.1} %; class token {:.1} %", most * 100.0, row[0] * 100.0)
            }
            Map::Features => {
                let (low, high) = range(&looked.features[1..]);
                heat(painter, rect, looked.grid, &looked.features[1..], low, high);
                spanned(low, high)
            }
            Map::Components => {
                if let [red, green, blue] = looked.components.as_slice() {
                    for patch in 0..red.len() {
                        let colour = [red, green, blue].map(|component| (component[patch] * 255.0) as u8);
                        let cell = pictures::cell(rect, looked.grid, patch);
                        painter.rect_filled(cell, 0.0, Color32::from_rgb(colour[0], colour[1], colour[2]));
                    }
                }
                "like colours, like features".to_owned()
            }
            Map::Positions if looked.positions.iter().all(|cosine| *cosine == 0.0) => {
                "the class token has no position".to_owned()
            }
            Map::Positions => {
                let (low, high) = range(&looked.positions[1..]);
                heat(painter, rect, looked.grid, &looked.positions[1..], low, high);
                spanned(low, high)
            }
        }
    }

    /// Frames the patch that looks.
    fn frame(&self, ui: &egui::Ui, rect: Rect, looked: &Looked) {
        if let Some(patch) = looked.look.token.checked_sub(1) {
            let cell = pictures::cell(rect, looked.grid, patch);
            let outside = egui::StrokeKind::Outside;
            ui.painter().rect_stroke(cell, 0.0, egui::Stroke::new(3.0, Color32::BLACK), outside);
            ui.painter().rect_stroke(cell, 0.0, egui::Stroke::new(1.5, Color32::WHITE), outside);
        }
    }
}

/// A range in words; one that began with no number never ends.
fn spanned(low: f32, high: f32) -> String {
    if low <= high { format!("{low:.2} to {high:.2}") } else { "not finite".to_owned() }
}

fn range(values: &[f32]) -> (f32, f32) {
    values.iter().fold((f32::MAX, f32::MIN), |(low, high), x| (low.min(*x), high.max(*x)))
}

/// Lays `values` over the picture in `rect`, the brighter and the less transparent the larger.
fn heat(painter: &egui::Painter, rect: Rect, grid: usize, values: &[f32], low: f32, high: f32) {
    for (patch, value) in values.iter().enumerate() {
        let t = ((value - low) / (high - low).max(1e-12)).clamp(0.0, 1.0);
        painter.rect_filled(pictures::cell(rect, grid, patch), 0.0, theme::heat(t).gamma_multiply(0.35 + 0.6 * t));
    }
}

/// All filters in one texture, [`ROW`] a row.
pub(super) fn atlas(ctx: &egui::Context, filters: &Filters) -> egui::TextureHandle {
    let patch = filters.patch;
    let rows = filters.pixels.len().div_ceil(ROW).max(1);
    let mut image = egui::ColorImage::filled([ROW * patch, rows * patch], Color32::GRAY);
    for (index, pixels) in filters.pixels.iter().enumerate() {
        let corner = (index / ROW * patch) * ROW * patch + index % ROW * patch;
        for (at, p) in pixels.chunks_exact(3).enumerate() {
            image.pixels[corner + at / patch * ROW * patch + at % patch] = Color32::from_rgb(p[0], p[1], p[2]);
        }
    }
    ctx.load_texture("filters", image, egui::TextureOptions::NEAREST)
}

/// Draws the filters as wide as there is room.
pub(super) fn filters(ui: &mut egui::Ui, filters: &Filters, texture: &egui::TextureHandle) {
    let rows = filters.pixels.len().div_ceil(ROW).max(1) as f32;
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = Vec2::splat(4.0);
        for index in 0..filters.pixels.len() {
            let (rect, response) = ui.allocate_exact_size(Vec2::splat(FILTER), egui::Sense::hover());
            let corner = Vec2::new((index % ROW) as f32 / ROW as f32, (index / ROW) as f32 / rows);
            let uv = Rect::from_min_size(corner.to_pos2(), Vec2::new(1.0 / ROW as f32, 1.0 / rows));
            ui.painter().image(texture.id(), rect, uv, Color32::WHITE);
            widgets::name_image(&response, &format!("Filter {}", index + 1));
        }
    });
}
