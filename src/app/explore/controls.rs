//! What of exploring can be set.

use eframe::egui;

use super::{Explore, MOST, Trained, Wish};
use crate::app::pictures::VIEWS;
use crate::app::settings::ExploreSettings;
use crate::app::widgets;
use crate::ops::MaskStrategy;
use crate::platform;
use crate::session::{Session, WeightsFrom};

impl Explore {
    pub(super) fn controls(
        &mut self,
        ui: &mut egui::Ui,
        settings: &mut ExploreSettings,
        session: &Session,
        trained: Trained,
    ) -> Option<Wish> {
        ui.add_space(6.0);
        self.ratio(ui, settings);
        ui.separator();
        self.strategy(ui, settings);
        ui.separator();
        self.errors(ui);
        views(ui, settings);
        ui.separator();
        let opened = self.open_buttons(ui);
        opened.or(self.models(ui, session, trained))
    }

    /// How much is hidden.
    fn ratio(&mut self, ui: &mut egui::Ui, settings: &mut ExploreSettings) {
        // Rounded here: a slider that rounds counts that as a change by the user.
        let mut percent = (settings.ratio * 100.0).round();
        let slider = egui::Slider::new(&mut percent, 0.0..=MOST * 100.0).fixed_decimals(0).suffix(" %");
        ui.label("Mask ratio")
            .on_hover_text("share of the patches that the encoder does not see; the paper hides 75 %");
        let response = ui.add(slider);
        widgets::name(&response, "Mask ratio");
        if response.changed() {
            settings.ratio = percent / 100.0;
            self.painted = None;
            self.animation = None;
        }
        ui.label(self.count_text());
        ui.horizontal(|ui| {
            let name = if self.animation.is_some() { "Stop" } else { "Reveal" };
            if ui.button(name).on_hover_text("from 95 % hidden to 5 % (A)").clicked() {
                self.toggle_animation(ui.ctx());
            }
            if ui.button("Reshuffle").on_hover_text("hide other patches (R)").clicked() {
                self.reshuffle(settings);
            }
        });
    }

    /// Which patches are hidden.
    fn strategy(&mut self, ui: &mut egui::Ui, settings: &mut ExploreSettings) {
        egui::Grid::new("masking").num_columns(2).spacing([12.0, 6.0]).show(ui, |ui| {
            ui.label("Strategy").on_hover_text("how hidden patches are chosen; click or drag over a picture to paint");
            let chosen = if self.painted.is_some() { "painted" } else { settings.strategy.name() };
            let combo = egui::ComboBox::from_id_salt("strategy").selected_text(chosen).show_ui(ui, |ui| {
                for strategy in MaskStrategy::ALL {
                    let selected = self.painted.is_none() && settings.strategy == strategy;
                    if ui.selectable_label(selected, strategy.name()).clicked() {
                        settings.strategy = strategy;
                        self.painted = None;
                    }
                }
                if ui.selectable_label(self.painted.is_some(), "painted").clicked() {
                    self.start_painting();
                }
            });
            widgets::name(&combo.response, "Strategy");
            ui.end_row();
            ui.label("Seed").on_hover_text("the same seed hides the same patches on every machine");
            let seed = ui.add(egui::DragValue::new(&mut settings.seed).range(0..=9999));
            widgets::name(&seed, "Seed");
            if seed.changed() {
                self.painted = None;
            }
            ui.end_row();
        });
    }

    /// How far off what is rebuilt is.
    fn errors(&self, ui: &mut egui::Ui) {
        let Some(shown) = &self.shown else { return };
        let psnr = shown.measured.hidden_psnr_db;
        egui::Grid::new("errors").num_columns(2).spacing([12.0, 6.0]).show(ui, |ui| {
            ui.label("Hidden MSE").on_hover_text("mean square error over hidden patches, in normalised units");
            ui.monospace(psnr.map_or("–".to_owned(), |_| format!("{:.4}", shown.measured.hidden_mse)));
            ui.end_row();
            ui.label("PSNR").on_hover_text("the same error as peak signal-to-noise ratio of pixels from 0 to 1");
            ui.monospace(psnr.map_or("–".to_owned(), |psnr| format!("{psnr:.2} dB")));
            ui.end_row();
            ui.label("Time").on_hover_text("from giving the work to the GPU to reading the numbers back");
            ui.monospace(format!("{:.1} ms", shown.seconds * 1e3));
            ui.end_row();
        });
        ui.separator();
    }

    /// Pictures and weights from elsewhere.
    fn open_buttons(&mut self, ui: &mut egui::Ui) -> Option<Wish> {
        let hint = "pictures, or weights (.safetensors, .pth, .pt, .bin); or drop them here (O), or paste a picture";
        let mut wish = None;
        ui.horizontal(|ui| {
            if ui.button("Open…").on_hover_text(hint).clicked() {
                wish = Some(Wish::Open);
            }
            let hint = "rebuild what the camera sees; once more to keep the picture";
            if platform::HAS_CAMERA && ui.toggle_value(&mut self.camera, "Camera").on_hover_text(hint).changed() {
                platform::set_camera(self.camera);
            }
        });
        wish
    }

    /// The model, and others to choose.
    fn models(&self, ui: &mut egui::Ui, session: &Session, trained: Trained) -> Option<Wish> {
        let model = self.model.as_ref()?;
        let mut wish = None;
        ui.add_space(4.0);
        ui.weak(format!("{} · {}", model.name, widgets::count(model.parameters)));
        ui.horizontal_wrapped(|ui| {
            if ui.small_button("Shipped model").clicked() {
                self.use_weights(WeightsFrom::Shipped, session);
            }
            let (name, hint) = match trained {
                Trained::Stands => ("Model of the last run", "what it makes of this picture where it stands"),
                _ => ("Model in training", "what the model in training makes of this picture, as it learns"),
            };
            let button = ui.add_enabled(trained != Trained::Nothing, egui::Button::new(name).small());
            let why = "no model is in training: start a run under Train";
            if button.on_hover_text(hint).on_disabled_hover_text(why).clicked() {
                match trained {
                    Trained::Stands => wish = Some(Wish::LastRun),
                    _ => self.use_weights(WeightsFrom::Training, session),
                }
            }
        });
        if model.config.norm_pix_loss {
            ui.weak("This model predicts normalised patches: they are shown with each patch's true mean and contrast");
        }
        wish
    }

    fn count_text(&self) -> String {
        match &self.shown {
            Some(shown) => {
                let hidden = shown.measured.hidden.iter().filter(|hidden| **hidden).count();
                format!("{} of {} patches visible", shown.measured.hidden.len() - hidden, shown.measured.hidden.len())
            }
            None => "loading…".to_owned(),
        }
    }
}

/// Which pictures are shown.
fn views(ui: &mut egui::Ui, settings: &mut ExploreSettings) {
    ui.label("Views");
    for (index, (_, name, hint)) in VIEWS.iter().enumerate() {
        ui.checkbox(&mut settings.views[index], *name).on_hover_text(*hint);
    }
    ui.checkbox(&mut settings.wipe, "Wipe").on_hover_text("what is rebuilt over the original, with a line to drag");
}
