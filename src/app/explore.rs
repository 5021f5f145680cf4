//! The panel that hides patches of a picture and shows what the model makes of the rest.

mod controls;

use eframe::egui;

use super::gallery::Gallery;
use super::pictures::{self, VIEWS, View};
use super::settings::ExploreSettings;
use super::textures::Textures;
use super::{theme, widgets};
use crate::data::Picture;
use crate::platform;
use crate::session::{Command, Model, Request, Session, Shown, WeightsFrom};
use crate::train::Hidden;

/// Largest share that can be hidden.
const MOST: f64 = 0.95;
/// Smallest share at the end of the animation.
const LEAST: f64 = 0.05;
/// Share of the picture by which an arrow key moves the line of the wipe.
const WIPE_STEP: f32 = 0.05;
/// Seconds that the animation takes.
const ANIMATION: f64 = 6.0;

/// What the panel asks of the app around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A file to open.
    Open,
    /// The model of the run that stands.
    LastRun,
}

/// What there is of a model in training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trained {
    /// None.
    Nothing,
    /// It stands still.
    Stands,
    /// It learns.
    Learns,
}

/// What is being explored.
pub struct Explore {
    gallery: Gallery,
    position: Option<usize>,
    picture: Option<Picture>,
    model: Option<Model>,
    shown: Option<Shown>,
    /// Hidden patches chosen by hand.
    painted: Option<Vec<bool>>,
    /// While the pointer is down: whether patches under it get hidden.
    brush: Option<bool>,
    /// Patch that the arrow keys moved to.
    cursor: usize,
    animation: Option<f64>,
    asked: Option<Hidden>,
    /// Whether frames of a camera come in.
    camera: bool,
    /// Whether a picture was sent and nothing of it was shown yet.
    waiting: bool,
    results: u64,
}

impl Default for Explore {
    /// Nothing shown yet.
    fn default() -> Explore {
        Explore {
            gallery: Gallery::new(),
            position: None,
            picture: None,
            model: None,
            shown: None,
            painted: None,
            brush: None,
            cursor: 0,
            animation: None,
            asked: None,
            camera: false,
            waiting: false,
            results: 0,
        }
    }
}

impl Explore {
    /// The model that is explored.
    pub fn model(&self) -> Option<&Model> {
        self.model.as_ref()
    }

    /// The latest result.
    pub fn result(&self) -> Option<&Shown> {
        self.shown.as_ref()
    }

    /// Results that came so far.
    pub fn results(&self) -> u64 {
        self.results
    }

    /// Name of the picture that is explored.
    pub fn picture(&self) -> &str {
        self.picture.as_ref().map_or("", |picture| &picture.name)
    }

    /// The built-in photograph that is explored, if it is one.
    pub fn photo(&self) -> Option<&str> {
        self.position.map(|_| self.picture())
    }

    /// Whether there is a built-in photograph `name` to explore.
    pub fn knows(&self, name: &str) -> bool {
        self.gallery.position(name).is_some()
    }

    /// Whether patches are hidden by hand.
    pub fn is_painted(&self) -> bool {
        self.painted.is_some()
    }

    /// Another model answers from now on.
    pub fn model_changed(&mut self, model: Model, settings: &ExploreSettings, session: &Session) {
        // A mask painted on another grid means nothing on this one.
        self.painted = self.painted.take().filter(|painted| painted.len() == model.config.patches());
        self.model = Some(model);
        self.asked = None;
        if self.picture.is_none() {
            self.choose(self.gallery.position(&settings.photo).unwrap_or(0), settings, session);
        }
        self.ask(settings, session);
    }

    /// Asks for other weights.
    pub fn use_weights(&self, from: WeightsFrom, session: &Session) {
        session.send(Command::Weights(from));
    }

    /// Shows on another session what was shown on one whose device is gone.
    pub fn move_to(&mut self, session: &Session) {
        self.shown = None;
        self.asked = None;
        self.waiting = false;
        // Its thumbnails are textures of the device before.
        self.gallery = Gallery::new();
        let from = match self.model.as_ref().map(|model| model.from.clone()) {
            None | Some(WeightsFrom::Training) => WeightsFrom::Shipped,
            Some(other) => other,
        };
        self.use_weights(from, session);
        if let Some(picture) = &self.picture {
            session.send(Command::Picture(Box::new(picture.clone())));
        }
    }

    /// A result came.
    pub fn shown(&mut self, shown: Shown) {
        self.waiting = false;
        self.results += 1;
        self.shown = Some(shown);
    }

    /// What was asked for cannot be had.
    pub fn refused(&mut self, request: &Request, session: &Session) {
        match request {
            Request::Picture | Request::Shown => self.waiting = false,
            // On a device that is new nothing is shown that could stay.
            Request::Weights(from) if self.shown.is_none() && !matches!(from, WeightsFrom::Shipped) => {
                self.use_weights(WeightsFrom::Shipped, session);
            }
            Request::Weights(_) | Request::Look | Request::Costs => {}
        }
    }

    /// Explores `picture`.
    pub fn set_picture(&mut self, picture: Picture, settings: &ExploreSettings, session: &Session) {
        if std::mem::take(&mut self.camera) {
            platform::set_camera(false);
        }
        self.send_picture(picture, settings, session);
    }

    /// Explores a frame of the camera, unless the one before is still on its way.
    pub fn frame(&mut self, picture: Picture, settings: &ExploreSettings, session: &Session) {
        if self.camera && !self.waiting {
            self.send_picture(picture, settings, session);
        }
    }

    /// The camera sends no more frames.
    pub fn camera_off(&mut self) {
        self.camera = false;
    }

    fn send_picture(&mut self, picture: Picture, settings: &ExploreSettings, session: &Session) {
        self.waiting = true;
        self.position = None;
        session.send(Command::Picture(Box::new(picture.clone())));
        self.picture = Some(picture);
        self.asked = None;
        self.ask(settings, session);
    }

    fn choose(&mut self, position: usize, settings: &ExploreSettings, session: &Session) {
        if let Some(picture) = self.gallery.photo(position) {
            self.set_picture(picture, settings, session);
            self.position = Some(position);
        }
    }

    /// Asks the session for what is set, if that is not what was asked last.
    fn ask(&mut self, settings: &ExploreSettings, session: &Session) {
        let hidden = match &self.painted {
            Some(hidden) => Hidden::Keep((0..hidden.len()).filter(|patch| !hidden[*patch]).collect()),
            None => Hidden::Ratio { strategy: Some(settings.strategy), ratio: settings.ratio, seed: settings.seed },
        };
        if self.asked.as_ref() != Some(&hidden) {
            session.send(Command::Hide(hidden.clone()));
            self.asked = Some(hidden);
        }
    }

    /// Keys of this panel.
    pub fn shortcuts(&mut self, ctx: &egui::Context, settings: &mut ExploreSettings, session: &Session) {
        let pressed = |key| ctx.input(|input| input.key_pressed(key) && input.modifiers.is_none());
        if pressed(egui::Key::R) {
            self.reshuffle(settings);
        }
        if pressed(egui::Key::A) {
            self.toggle_animation(ctx);
        }
        let count = self.gallery.len();
        for (key, by) in [(egui::Key::ArrowRight, 1), (egui::Key::ArrowLeft, count - 1)] {
            if pressed(key) && count > 0 {
                let next = self.position.map_or(0, |position| (position + by) % count);
                self.pick(next, settings, session);
            }
        }
        for (key, by) in [(egui::Key::ArrowUp, 0.05), (egui::Key::ArrowDown, -0.05)] {
            if pressed(key) {
                self.painted = None;
                self.animation = None;
                settings.ratio = (settings.ratio + by).clamp(0.0, MOST);
            }
        }
    }

    fn pick(&mut self, position: usize, settings: &mut ExploreSettings, session: &Session) {
        self.choose(position, settings, session);
        settings.photo = self.picture.as_ref().map(|picture| picture.name.clone()).unwrap_or_default();
    }

    fn reshuffle(&mut self, settings: &mut ExploreSettings) {
        self.painted = None;
        settings.seed = settings.seed.wrapping_add(1) % 10_000;
    }

    fn toggle_animation(&mut self, ctx: &egui::Context) {
        self.painted = None;
        self.animation = match self.animation {
            Some(_) => None,
            None => Some(ctx.input(|input| input.time)),
        };
    }

    fn animate(&mut self, ctx: &egui::Context, settings: &mut ExploreSettings) {
        let Some(start) = self.animation else { return };
        let t = (ctx.input(|input| input.time) - start) / ANIMATION;
        settings.ratio = MOST + (LEAST - MOST) * t.clamp(0.0, 1.0);
        if t >= 1.0 {
            self.animation = None;
        }
        ctx.request_repaint();
    }

    /// Draws the panel; `trained` is what there is of a model in training.
    pub fn ui(
        &mut self,
        ui: &mut egui::Ui,
        settings: &mut ExploreSettings,
        session: &Session,
        textures: &mut Textures,
        trained: Trained,
    ) -> Option<Wish> {
        self.animate(ui.ctx(), settings);
        let mut wish = None;
        if ui.available_width() < theme::NARROW {
            let controls = theme::below(ui, "explore controls below", 250.0);
            controls.show(ui, |ui| {
                egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                    wish = self.controls(ui, settings, session, trained);
                });
            });
        } else {
            egui::Panel::left("explore controls").default_size(theme::CONTROLS).show(ui, |ui| {
                egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                    wish = self.controls(ui, settings, session, trained);
                });
            });
        }
        egui::Panel::bottom("gallery").show(ui, |ui| {
            ui.add_space(4.0);
            if let Some(position) = self.gallery.ui(ui, self.position) {
                self.pick(position, settings, session);
            }
        });
        egui::CentralPanel::default().show(ui, |ui| self.pictures(ui, settings, textures));
        self.ask(settings, session);
        wish
    }

    /// Takes what is hidden now as a mask to paint on.
    fn start_painting(&mut self) {
        if self.painted.is_none() {
            self.painted = self.shown.as_ref().map(|shown| shown.measured.hidden.clone());
        }
        self.animation = None;
    }

    fn pictures(&mut self, ui: &mut egui::Ui, settings: &mut ExploreSettings, textures: &mut Textures) {
        let Some(shown) = self.shown.clone() else {
            ui.centered_and_justified(widgets::busy);
            return;
        };
        let Some(texture) = textures.id(ui.ctx(), &shown.texture) else {
            ui.label("egui does not draw with wgpu here");
            return;
        };
        let views: Vec<(View, &str, &str)> =
            VIEWS.iter().zip(settings.views).filter(|(_, on)| *on).map(|(view, _)| *view).collect();
        let count = views.len() + usize::from(settings.wipe);
        if count == 0 {
            ui.centered_and_justified(|ui| ui.label("Choose a view"));
            return;
        }
        let text = ui.text_style_height(&egui::TextStyle::Body) + 4.0;
        let gap = 10.0;
        let (columns, side) = pictures::arrange(count, ui.available_size(), gap, text + 6.0);
        let (mse, hidden) = (&shown.measured.patch_mse, &shown.measured.hidden);
        pictures::grid(ui, "pictures", [columns as f32, side, gap], |ui| {
            for index in 0..count {
                ui.vertical(|ui| {
                    ui.set_width(side);
                    if let Some((view, name, hint)) = views.get(index) {
                        ui.add(egui::Label::new(*name).truncate()).on_hover_text(*hint);
                        let sense = egui::Sense::click_and_drag();
                        let (rect, response) = ui.allocate_exact_size(egui::Vec2::splat(side), sense);
                        widgets::name_image(&response, name);
                        pictures::paint(ui.painter(), rect, *view, texture, mse, hidden);
                        self.brush(ui, rect, &response, hidden.len());
                    } else {
                        let name = egui::Label::new("With visible patches | original").truncate();
                        ui.add(name).on_hover_text("drag the line");
                        wipe(ui, side, texture, &mut settings.wipe_at);
                    }
                });
                if index % columns == columns - 1 {
                    ui.end_row();
                }
            }
        });
    }

    /// Hides and shows patches under the pointer, or by keys.
    fn brush(&mut self, ui: &egui::Ui, rect: egui::Rect, response: &egui::Response, patches: usize) {
        let grid = (patches as f64).sqrt() as usize;
        if pictures::by_keys(ui, rect, response, grid, &mut self.cursor) {
            self.start_painting();
            let now = self.painted.as_ref().and_then(|painted| painted.get(self.cursor).copied());
            self.paint(self.cursor, now == Some(false));
        }
        if let Some(hovered) = response.hover_pos().and_then(|pointer| pictures::patch_at(rect, grid, pointer)) {
            let stroke = egui::Stroke::new(1.5, ui.visuals().selection.stroke.color);
            ui.painter().rect_stroke(pictures::cell(rect, grid, hovered), 0.0, stroke, egui::StrokeKind::Inside);
        }
        if !response.is_pointer_button_down_on() {
            if response.drag_stopped() || response.clicked() {
                self.brush = None;
            }
            return;
        }
        let pointer = response.interact_pointer_pos();
        let Some(patch) = pointer.and_then(|pointer| pictures::patch_at(rect, grid, pointer)) else { return };
        self.start_painting();
        let Some(now) = self.painted.as_ref().and_then(|painted| painted.get(patch).copied()) else { return };
        let hide = *self.brush.get_or_insert(!now);
        self.cursor = patch;
        self.paint(patch, hide);
    }

    /// Hides or shows `patch` of the mask that is painted on.
    fn paint(&mut self, patch: usize, hide: bool) {
        let Some(painted) = &mut self.painted else { return };
        // One patch at least stays visible: there is nothing to encode otherwise.
        let others = painted.iter().enumerate().any(|(other, hidden)| other != patch && !hidden);
        if let Some(hidden) = painted.get_mut(patch).filter(|_| others || !hide) {
            *hidden = hide;
        }
    }
}

/// Reconstruction with visible patches left of a line, original right of it.
fn wipe(ui: &mut egui::Ui, side: f32, texture: egui::TextureId, at: &mut f32) {
    let (rect, response) = ui.allocate_exact_size(egui::Vec2::splat(side), egui::Sense::click_and_drag());
    widgets::name_image(&response, "Wipe");
    if let Some(pointer) = response.interact_pointer_pos() {
        *at = ((pointer.x - rect.left()) / side).clamp(0.0, 1.0);
    }
    if response.has_focus() {
        let keys = egui::EventFilter { horizontal_arrows: true, ..egui::EventFilter::default() };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, keys));
        let presses = |key| ui.input(|input| input.num_presses(key)) as f32;
        let by = presses(egui::Key::ArrowRight) - presses(egui::Key::ArrowLeft);
        *at = (*at + WIPE_STEP * by).clamp(0.0, 1.0);
    }
    let x = rect.left() + side * *at;
    for (view, clip) in [
        (View::Pasted, egui::Rect::from_min_max(rect.min, egui::pos2(x, rect.bottom()))),
        (View::Original, egui::Rect::from_min_max(egui::pos2(x, rect.top()), rect.max)),
    ] {
        ui.painter().with_clip_rect(clip.intersect(ui.clip_rect())).image(
            texture,
            rect,
            pictures::part(view),
            egui::Color32::WHITE,
        );
    }
    let width = if response.has_focus() { 4.0 } else { 2.0 };
    ui.painter().vline(x, rect.y_range(), egui::Stroke::new(width, egui::Color32::WHITE));
}
