//! The panel that looks inside the model: attention, features, filters, costs, the adapter.

mod maps;
mod tables;

use std::sync::Arc;

use eframe::egui;

use super::explore::Explore;
use super::frames::{FrameTimes, Frames};
use super::textures::Textures;
use super::{theme, widgets};
use crate::gpu::Gpu;
use crate::session::{Command, Request, Session};
use crate::train::{Filters, Look, Looked, Profile};

/// What of the model is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Page {
    #[default]
    Picture,
    Filters,
    Costs,
    Adapter,
}

/// What is looked at, and what there is to see.
#[derive(Default)]
pub struct Inspect {
    page: Page,
    /// Encoder block; none for the last.
    layer: Option<usize>,
    /// The query token: 0 is the class token.
    token: Option<usize>,
    /// Which head's attention; none for their mean.
    head: Option<usize>,
    asked: Option<Look>,
    looked: Option<Looked>,
    profile: Option<Profile>,
    /// Whether costs were asked for and did not come yet.
    measuring: bool,
    /// Times between frames, while they are counted.
    frames: Option<Frames>,
    filters: Option<(Arc<Filters>, egui::TextureHandle)>,
}

impl Inspect {
    /// What was seen last.
    pub fn looked(&self) -> Option<&Looked> {
        self.looked.as_ref()
    }

    /// What a reconstruction costs, where that was measured.
    pub fn profile(&self) -> Option<&Profile> {
        self.profile.as_ref()
    }

    /// Times between frames, while they are counted.
    pub fn frame_times(&self) -> Option<FrameTimes> {
        self.frames.as_ref().and_then(Frames::times)
    }

    /// Something was seen.
    pub fn seen(&mut self, looked: Looked) {
        self.looked = Some(looked);
    }

    /// Costs were measured.
    pub fn measured(&mut self, profile: Profile) {
        self.measuring = false;
        self.profile = Some(profile);
    }

    /// What was asked for cannot be had.
    pub fn refused(&mut self, request: &Request) {
        if let Request::Costs = request {
            self.measuring = false;
        }
    }

    /// Another model: nothing that was seen holds any more.
    pub fn model_changed(&mut self) {
        let frames = self.frames.take();
        *self = Inspect { page: self.page, asked: self.asked, frames, ..Inspect::default() };
    }

    /// Another session, which was asked for nothing yet.
    pub fn session_changed(&mut self) {
        self.model_changed();
        self.asked = None;
    }

    /// Another panel is open: nothing has to be looked at meanwhile.
    pub fn leave(&mut self, session: &Session) {
        self.pause_frames();
        if self.asked.take().is_some() {
            session.send(Command::Inspect(None));
        }
    }

    /// Frames are not drawn one after the other where they are not seen to be counted.
    fn pause_frames(&mut self) {
        if let Some(frames) = &mut self.frames {
            frames.paused();
        }
    }

    fn ask(&mut self, depth: usize, patches: usize, session: &Session) {
        let grid = (patches as f64).sqrt() as usize;
        let middle = 1 + grid / 2 * grid + grid / 2;
        let look = Look {
            layer: self.layer.unwrap_or(depth).min(depth.saturating_sub(1)),
            token: self.token.unwrap_or(middle).min(patches),
        };
        if self.asked != Some(look) {
            session.send(Command::Inspect(Some(look)));
            self.asked = Some(look);
        }
    }

    /// Draws the panel.
    pub fn ui(&mut self, ui: &mut egui::Ui, explore: &Explore, session: &Session, gpu: &Gpu, textures: &mut Textures) {
        let Some(config) = explore.model().map(|model| model.config.clone()) else {
            ui.centered_and_justified(widgets::busy);
            return;
        };
        self.ask(config.depth, config.patches(), session);
        let controls = |ui: &mut egui::Ui, inspect: &mut Inspect| {
            egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                inspect.controls(ui, [config.depth, config.heads, config.patches()], explore);
            });
        };
        if ui.available_width() < theme::NARROW {
            theme::below(ui, "inspect controls below", 200.0).show(ui, |ui| controls(ui, self));
        } else {
            egui::Panel::left("inspect controls").default_size(theme::CONTROLS).show(ui, |ui| controls(ui, self));
        }
        if self.page != Page::Costs {
            self.pause_frames();
        }
        egui::CentralPanel::default().show(ui, |ui| match self.page {
            Page::Picture => self.maps(ui, explore, textures),
            Page::Filters => self.filters(ui),
            Page::Costs => {
                tables::frames(ui, &mut self.frames);
                ui.separator();
                if tables::costs(ui, self.profile.as_ref(), self.measuring) {
                    self.measuring = true;
                    session.send(Command::Profile);
                }
            }
            Page::Adapter => tables::adapter(ui, gpu),
        });
    }

    fn controls(&mut self, ui: &mut egui::Ui, [depth, heads, patches]: [usize; 3], explore: &Explore) {
        ui.add_space(6.0);
        ui.horizontal_wrapped(|ui| {
            for (page, name, hint) in [
                (Page::Picture, "Picture", "attention and features over the picture"),
                (Page::Filters, "Filters", "what the patch embedding looks for"),
                (Page::Costs, "Costs", "milliseconds by op, memory by tensor"),
                (Page::Adapter, "Adapter", "the GPU, its features and limits"),
            ] {
                ui.selectable_value(&mut self.page, page, name).on_hover_text(hint);
            }
        });
        ui.separator();
        if self.page != Page::Picture {
            if let Some(model) = explore.model() {
                ui.weak(format!("{} · {}", model.name, widgets::count(model.parameters)));
            }
            return;
        }
        let asked = self.asked.unwrap_or_default();
        egui::Grid::new("look").num_columns(2).spacing([12.0, 6.0]).show(ui, |ui| {
            ui.label("Layer").on_hover_text("encoder block, first to last");
            let mut layer = asked.layer + 1;
            let response = ui.add(egui::Slider::new(&mut layer, 1..=depth.max(1)));
            widgets::name(&response, "Layer");
            if response.changed() {
                self.layer = Some(layer - 1);
            }
            ui.end_row();
            ui.label("Head").on_hover_text("whose attention is shown");
            let name = |head: Option<usize>| head.map_or("mean of all".to_owned(), |head| format!("{}", head + 1));
            let combo = egui::ComboBox::from_id_salt("head").selected_text(name(self.head)).show_ui(ui, |ui| {
                for head in std::iter::once(None).chain((0..heads).map(Some)) {
                    ui.selectable_value(&mut self.head, head, name(head));
                }
            });
            widgets::name(&combo.response, "Head");
            ui.end_row();
            ui.label("Token").on_hover_text(
                "the query token, whose attention and likeness are shown; click a patch of any picture to choose it",
            );
            let grid = (patches as f64).sqrt() as usize;
            ui.label(match asked.token {
                0 => "class token".to_owned(),
                token => format!("row {}, column {}", (token - 1) / grid + 1, (token - 1) % grid + 1),
            });
            ui.end_row();
        });
        if ui.button("Class token").on_hover_text("look from the token that stands for the whole picture").clicked() {
            self.token = Some(0);
        }
        ui.separator();
        ui.weak(
            "The encoder sees every patch here, none is hidden. Click a patch to see what it attends to and which \
             patches have features like its own.",
        );
    }

    fn filters(&mut self, ui: &mut egui::Ui) {
        let Some(filters) = self.looked.as_ref().map(|looked| looked.filters.clone()) else {
            ui.centered_and_justified(widgets::busy);
            return;
        };
        let name = match (filters.pixels.len(), filters.count) {
            (shown, all) if shown < all => format!("Filters of the patch embedding, the first {shown} of {all}"),
            _ => "Filters of the patch embedding".to_owned(),
        };
        ui.label(name).on_hover_text(
            "each turns a patch into one number of its token: the sum of the patch's pixels times these; grey is zero",
        );
        if self.filters.as_ref().is_none_or(|(known, _)| !Arc::ptr_eq(known, &filters)) {
            let texture = maps::atlas(ui.ctx(), &filters);
            self.filters = Some((filters.clone(), texture));
        }
        let Some((_, texture)) = &self.filters else { return };
        egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| maps::filters(ui, &filters, texture));
    }
}
