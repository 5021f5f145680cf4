//! The built-in photographs to choose from: those that no shipped model was trained on.

use eframe::egui;

use crate::data::{self, Picture, SampleSource, Source as _};

/// Side of a thumbnail, points.
const SIDE: f32 = 56.0;

/// Held-out photographs with their thumbnails, decoded one a frame.
pub struct Gallery {
    indices: Vec<usize>,
    thumbnails: Vec<Option<egui::TextureHandle>>,
}

impl Gallery {
    /// Nothing decoded yet.
    pub fn new() -> Gallery {
        let indices = data::split(&SampleSource).held_out;
        Gallery { thumbnails: vec![None; indices.len()], indices }
    }

    /// Number of photographs.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Position of the photograph `name`.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.indices.iter().position(|index| SampleSource.name(*index) == name)
    }

    /// The photograph at `position`, in full.
    pub fn photo(&self, position: usize) -> Option<Picture> {
        // Built-in photographs decode: a test goes through all of them.
        SampleSource.load(*self.indices.get(position)?, None).ok()
    }

    /// A row of thumbnails; the position of the one that was clicked.
    pub fn ui(&mut self, ui: &mut egui::Ui, chosen: Option<usize>) -> Option<usize> {
        if let Some(next) = self.thumbnails.iter().position(Option::is_none) {
            self.thumbnails[next] = Some(self.thumbnail(ui.ctx(), next));
            ui.ctx().request_repaint();
        }
        let mut clicked = None;
        egui::ScrollArea::horizontal().auto_shrink([false, true]).show(ui, |ui| {
            ui.horizontal(|ui| {
                for (position, thumbnail) in self.thumbnails.iter().enumerate() {
                    let Some(texture) = thumbnail else {
                        ui.allocate_space(egui::vec2(SIDE, SIDE));
                        continue;
                    };
                    let image = egui::Image::new((texture.id(), egui::vec2(SIDE, SIDE))).corner_radius(4.0);
                    let name = SampleSource.name(self.indices[position]);
                    let mut button = egui::Button::image(image).selected(chosen == Some(position));
                    button = button.frame_when_inactive(chosen == Some(position));
                    let response = ui.add(button).on_hover_text(name);
                    response.widget_info(|| {
                        egui::WidgetInfo::selected(
                            egui::Role::Button,
                            true,
                            chosen == Some(position),
                            format!("Photograph {name}"),
                        )
                    });
                    if response.clicked() {
                        clicked = Some(position);
                    }
                }
            });
        });
        clicked
    }

    fn thumbnail(&self, ctx: &egui::Context, position: usize) -> egui::TextureHandle {
        let side = SIDE as usize * 2;
        let mut image = egui::ColorImage::filled([side, side], egui::Color32::GRAY);
        if let Ok(picture) = SampleSource.load(self.indices[position], Some(side as u32)) {
            // The largest centred square, by the nearest pixel: thumbnails are small.
            let (w, h) = (picture.width as usize, picture.height as usize);
            let square = w.min(h);
            let (left, top) = ((w - square) / 2, (h - square) / 2);
            for y in 0..side {
                for x in 0..side {
                    let at = ((top + y * square / side) * w + left + x * square / side) * 4;
                    let p = &picture.pixels[at..at + 3];
                    image.pixels[y * side + x] = egui::Color32::from_rgb(p[0], p[1], p[2]);
                }
            }
        }
        ctx.load_texture(format!("thumbnail {position}"), image, egui::TextureOptions::LINEAR)
    }
}
