//! What the training panel looks like.

use std::sync::Arc;

use eframe::egui;

use super::{Ask, Phase, Train, place, plots};
use crate::app::settings::TrainSettings;
use crate::app::textures::Textures;
use crate::app::{SNAPSHOT_EVERY, theme, widgets};
use crate::gpu::Gpu;
use crate::platform;
use crate::session::{Command, Session, most_copied};

/// Height that numbers, curves and pictures need, points; lower ones are scrolled.
const LEAST_HEIGHT: f32 = 520.0;

/// Sliders of what runs leave alone what lies beyond their ends: only who moves one changes the run.
const WHEN_MOVED: egui::SliderClamping = egui::SliderClamping::Edits;

impl Train {
    /// Draws the panel.
    pub(in crate::app) fn ui(
        &mut self,
        ui: &mut egui::Ui,
        settings: &mut TrainSettings,
        slice_ms: &mut f64,
        session: &Session,
        gpu: &Arc<Gpu>,
        textures: &mut Textures,
    ) -> Option<Ask> {
        let mut ask = None;
        let controls = |ui: &mut egui::Ui| {
            ask = self.buttons(ui, settings, session, gpu);
            ask = ask.take().or(self.runs(ui));
            if platform::HAS_FOLDERS {
                self.place(ui);
            }
            ui.separator();
            self.live(ui, settings, slice_ms, session);
            let enabled = self.phase == Phase::Idle;
            let given = self.given();
            ui.add_enabled_ui(enabled, |ui| ask = ask.take().or(self.form.ui(ui, settings, given, gpu)));
        };
        if ui.available_width() < theme::NARROW {
            theme::below(ui, "train controls below", 260.0).show(ui, |ui| {
                egui::ScrollArea::vertical().auto_shrink(false).show(ui, controls);
            });
        } else {
            egui::Panel::left("train controls").default_size(theme::CONTROLS + 30.0).show(ui, |ui| {
                egui::ScrollArea::vertical().auto_shrink(false).show(ui, controls);
            });
        }
        egui::CentralPanel::default().show(ui, |ui| {
            if self.history.is_empty() && self.others.is_empty() {
                self.hint(ui, gpu);
                return;
            }
            let size = ui.available_size();
            if size.y >= LEAST_HEIGHT {
                self.progress(ui, size.y, textures);
            } else {
                // Better to be scrolled to than not to be seen.
                egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                    ui.set_width(size.x);
                    self.progress(ui, LEAST_HEIGHT, textures);
                });
            }
        });
        ask
    }

    /// Numbers, curves and pictures of the run, `height` points high in all.
    fn progress(&mut self, ui: &mut egui::Ui, height: f32, textures: &mut Textures) {
        let top = ui.cursor().top();
        self.numbers(ui);
        let left = height - (ui.cursor().top() - top);
        plots::losses(ui, &self.history, &self.others, (left * 0.42).max(140.0));
        plots::rates(ui, &self.history, (left * 0.16).max(70.0));
        self.probes(ui, height - (ui.cursor().top() - top), textures);
    }

    /// Runs from elsewhere, and this one to elsewhere.
    fn runs(&mut self, ui: &mut egui::Ui) -> Option<Ask> {
        let mut ask = None;
        ui.horizontal_wrapped(|ui| {
            let idle = self.phase == Phase::Idle;
            if platform::HAS_FOLDERS {
                let open = ui.add_enabled(idle, egui::Button::new("Open run…").small());
                if open.on_hover_text("the folder of a run, to continue it").clicked() {
                    ask = Some(Ask::Run);
                }
                let compare = ui.add(egui::Button::new("Compare…").small());
                let hint = "show the losses of other runs beside these: a run's folder, or a folder of runs";
                if compare.on_hover_text(hint).clicked() {
                    ask = Some(Ask::Compare);
                }
                let alone = egui::Button::new("Clear").small();
                if !self.others.is_empty() && ui.add(alone).on_hover_text("show this run alone").clicked() {
                    self.others.clear();
                }
            }
            let save = ui.add_enabled(self.savable().is_some(), egui::Button::new("Save…").small());
            let hint = match self.snapshot() {
                Some(_) => "weights, moments, step and settings in one file; open or drop it to continue elsewhere",
                None => "the weights in one file: open or drop it to explore with them",
            };
            let save = save.on_hover_text(hint).on_disabled_hover_text(self.why_not_saved());
            if save.clicked() {
                ask = Some(Ask::Save);
            }
        });
        ask
    }

    /// Where the run that goes on is written, or those that begin.
    fn place(&self, ui: &mut egui::Ui) {
        let out = self.started.as_ref().and_then(|started| started.out.as_deref());
        let (name, folder) = match out.filter(|_| self.phase != Phase::Idle) {
            Some(out) => ("Run folder", out),
            None => ("Run folders", self.runs.as_path()),
        };
        let hint = "settings, metrics, checkpoints and pictures of every run, in a folder of its own";
        let label = ui.weak(format!("{name}: {}", place::shown(folder)));
        label.on_hover_text(format!("{}: {hint}", folder.display()));
    }

    /// Why there is nothing to save to a file.
    fn why_not_saved(&self) -> String {
        let folder = self.standing.as_ref().and_then(|standing| standing.out.as_deref());
        let folder = folder.or(self.started.as_ref().and_then(|started| started.out.as_deref()));
        let copies = format!(
            "its state is copied every {SNAPSHOT_EVERY:.0} seconds and on a pause, unless it has more than {}",
            widgets::bytes(most_copied(folder.is_some()))
        );
        match (folder, self.phase) {
            (Some(folder), Phase::Idle) => format!("the run lies in {}, checkpoints and all", folder.display()),
            (Some(folder), _) => format!("no copy was made yet: {copies}; checkpoints go into {}", folder.display()),
            (None, Phase::Idle) => "there is no run to save".to_owned(),
            (None, _) => format!("no copy was made yet: {copies}"),
        }
    }

    /// What there is to say while there is nothing to show.
    fn hint(&self, ui: &mut egui::Ui, gpu: &Gpu) {
        let doing = self.status(gpu);
        let text = match (&doing, self.resumable()) {
            (Some(doing), _) => doing.clone(),
            (None, Some(step)) => {
                format!("A run stands at step {step}: Continue goes on with it, Start begins a new one")
            }
            (None, None) => "Press Start: a new model learns from pictures, and you see what it rebuilds".to_owned(),
        };
        ui.vertical_centered(|ui| {
            ui.add_space((ui.available_height() / 2.0 - 30.0).max(0.0));
            if doing.is_some() {
                widgets::busy(ui);
            }
            ui.label(text);
        });
    }

    /// Begins a run, goes on with one, and ends it.
    fn buttons(
        &mut self,
        ui: &mut egui::Ui,
        settings: &mut TrainSettings,
        session: &Session,
        gpu: &Gpu,
    ) -> Option<Ask> {
        let mut ask = None;
        ui.add_space(6.0);
        ui.horizontal_wrapped(|ui| match self.phase {
            Phase::Idle => ask = self.idle_buttons(ui, settings, session),
            Phase::Starting | Phase::Stopping => self.busy_buttons(ui, session, gpu),
            Phase::Running | Phase::Paused => self.running_buttons(ui, session),
        });
        ask
    }

    fn idle_buttons(&mut self, ui: &mut egui::Ui, settings: &mut TrainSettings, session: &Session) -> Option<Ask> {
        let mut ask = None;
        let goes_on = self.resumed(settings);
        if let Some((step, resumed)) = &goes_on {
            let hint =
                format!("continue the run that stopped at step {step}, with the settings below; Steps may be raised");
            let why = resumed.as_ref().err().map(|error| format!("other settings than the run's: {error}"));
            let button = ui.add_enabled(why.is_none(), widgets::primary(ui, "Continue")).on_hover_text(hint);
            if button.on_disabled_hover_text(why.clone().unwrap_or_default()).clicked() {
                return self.go_on(settings, session);
            }
            let hint = "set everything below as the stopped run has it, to continue it";
            if why.is_some() && ui.button("Its settings").on_hover_text(hint).clicked() {
                self.restore(settings);
            }
        }
        let start = match goes_on {
            Some(_) => egui::Button::new("Start"),
            None => widgets::primary(ui, "Start"),
        };
        let hint = match (platform::HAS_FOLDERS, self.held()) {
            (false, Some(step)) => format!("train a new model, instead of the one that stands at step {step}"),
            _ => "train a new model".to_owned(),
        };
        if ui.add_enabled(self.form.fits(), start).on_hover_text(hint).clicked() {
            ask = self.start(settings, session);
        }
        if let Some(standing) = &self.standing {
            ui.label(format!("stopped at step {}", standing.step));
        }
        if self.held().is_some() {
            let hint = match self.standing.as_ref().and_then(|standing| standing.out.as_ref()) {
                Some(out) => format!("close this run, to open another; its files stay in {}", out.display()),
                None => "close this run, to open another; Save… keeps a copy of it first".to_owned(),
            };
            if ui.button("Close run").on_hover_text(hint).clicked() {
                self.let_go();
            }
        }
        if let Some(batch) = self.smaller
            && ui.button(format!("Take a batch of {batch}")).on_hover_text("memory ran out").clicked()
        {
            settings.recipe.train.batch = batch;
            self.smaller = None;
        }
        ask
    }

    fn busy_buttons(&self, ui: &mut egui::Ui, session: &Session, gpu: &Gpu) {
        widgets::busy(ui);
        ui.label(self.status(gpu).unwrap_or_default());
        let hint = "do not train after all";
        if self.phase == Phase::Starting && ui.button("Cancel").on_hover_text(hint).clicked() {
            session.send(Command::Stop);
        }
    }

    fn running_buttons(&mut self, ui: &mut egui::Ui, session: &Session) {
        let (name, hint) = match self.phase {
            Phase::Running => ("Pause", "after the current step (Space)"),
            _ => ("Resume", "continue (Space)"),
        };
        if ui.button(name).on_hover_text(hint).clicked() {
            self.toggle(session);
        }
        let step = ui.add_enabled(self.phase == Phase::Paused, egui::Button::new("Step"));
        if step.on_hover_text("one step").clicked() {
            session.send(Command::Step);
        }
        if ui.button("Stop").on_hover_text("finish the step, save and end").clicked() {
            session.send(Command::Stop);
            self.phase = Phase::Stopping;
        }
    }

    /// Settings that take effect while the run goes on.
    fn live(&mut self, ui: &mut egui::Ui, settings: &mut TrainSettings, slice_ms: &mut f64, session: &Session) {
        let running = matches!(self.phase, Phase::Running | Phase::Paused);
        egui::Grid::new("live").num_columns(2).spacing([12.0, 6.0]).show(ui, |ui| {
            // With the longest label they are as wide as the panel, which is not to move when a run begins.
            ui.spacing_mut().slider_width = 130.0;
            ui.label("Pace")
                .on_hover_text("how long training may keep the device busy at a time: short is smooth, long is fast");
            let slider = egui::Slider::new(slice_ms, 2.0..=100.0).logarithmic(true).suffix(" ms").fixed_decimals(0);
            let response = ui.add(slider.clamping(WHEN_MOVED));
            widgets::name(&response, "Pace");
            if response.changed() {
                session.send(Command::SetSlice(*slice_ms / 1e3));
            }
            ui.end_row();
            let Some(recipe) = self.recipe.as_mut().filter(|_| running) else { return };
            ui.label("Mask ratio now").on_hover_text("takes effect at the next step");
            // Rounded here: a slider that rounds counts that as a change by the user.
            let mut percent = (recipe.model.mask_ratio * 100.0).round();
            let slider = egui::Slider::new(&mut percent, 1.0..=99.0).suffix(" %").fixed_decimals(0);
            let response = ui.add(slider.clamping(WHEN_MOVED));
            widgets::name(&response, "Mask ratio now");
            if response.changed() {
                recipe.model.mask_ratio = percent / 100.0;
                // What the run goes on with should it be stopped.
                settings.recipe.model.mask_ratio = recipe.model.mask_ratio;
                session.send(Command::SetMaskRatio(recipe.model.mask_ratio));
            }
            ui.end_row();
            ui.label("blr now").on_hover_text("base learning rate, takes effect at the next step");
            let slider = egui::Slider::new(&mut recipe.train.blr, 1e-6..=1.0).logarithmic(true);
            let response = ui.add(slider.clamping(WHEN_MOVED));
            widgets::name(&response, "blr now");
            if response.changed() {
                settings.recipe.train.blr = recipe.train.blr;
                session.send(Command::SetBaseLearningRate(recipe.train.blr));
            }
            ui.end_row();
        });
        ui.separator();
    }

    fn numbers(&self, ui: &mut egui::Ui) {
        // Of runs that are only compared with there are curves alone.
        let Some(recipe) = &self.recipe else { return };
        let last = &self.history.last;
        let steps = self.started.as_ref().map_or(recipe.train.steps, |started| started.steps);
        let batch = recipe.effective_batch() as f64;
        let speed = last.images_per_s.filter(|speed| *speed > 0.0);
        let left = speed.map(|speed| steps.saturating_sub(last.step) as f64 * batch / speed);
        let known = |value: Option<String>| value.unwrap_or("–".to_owned());
        let newest = |curve: &[[f64; 2]]| known(curve.last().map(|point| format!("{:.4}", point[1])));
        ui.horizontal_wrapped(|ui| {
            for (position, (name, value)) in [
                ("step", format!("{} / {steps}", last.step)),
                ("loss", newest(&self.history.smooth)),
                ("held out", newest(&self.history.held_out)),
                ("images/s", known(speed.map(|speed| format!("{speed:.*}", usize::from(speed < 10.0))))),
                ("ms a step", known(speed.map(|speed| format!("{:.0}", batch / speed * 1e3)))),
                ("memory", known(self.started.as_ref().map(|started| widgets::bytes(started.estimate.bytes())))),
                ("left", known(left.map(widgets::duration))),
            ]
            .into_iter()
            .enumerate()
            {
                // Not behind the last, where it would widen all that is below.
                if position > 0 {
                    ui.add_space(8.0);
                }
                ui.weak(name);
                ui.monospace(value);
            }
        });
    }

    fn probes(&mut self, ui: &mut egui::Ui, height: f32, textures: &mut Textures) {
        let bottom = ui.cursor().top() + height;
        let count = self.history.probes.len();
        if count == 0 {
            return;
        }
        let newest = count - 1;
        // Of a step whose picture went, the one before.
        let before = |step| self.history.probes.partition_point(|probe| probe.0 <= step).saturating_sub(1);
        let mut index = self.scrubbed.map_or(newest, before);
        ui.horizontal(|ui| {
            ui.label("Held-out pictures")
                .on_hover_text("visible patches | reconstruction | with visible patches | original; never trained on");
            ui.spacing_mut().slider_width = (ui.available_width() - 150.0).max(60.0);
            let slider = egui::Slider::new(&mut index, 0..=newest.max(1)).show_value(false);
            let response = ui.add_enabled(newest > 0, slider);
            widgets::name(&response, "History");
            if response.changed() {
                self.scrubbed = (index != newest).then_some(self.history.probes[index].0);
            }
            ui.monospace(format!("step {}", self.history.probes[index].0));
        });
        let texture = self.history.probes[index].1.clone();
        let Some(id) = textures.id(ui.ctx(), &texture) else { return };
        // Two pictures side by side make the best of a wide window.
        let rows = (texture.height() * crate::ops::PANELS as u32 / texture.width().max(1)).max(1) as usize;
        let space = egui::vec2(ui.available_width(), bottom - ui.cursor().top());
        let gap = 8.0;
        let aspect = crate::ops::PANELS as f32;
        let best = (1..=rows)
            .map(|columns| {
                let across = (space.x - gap * (columns - 1) as f32) / columns as f32 / aspect;
                let down = (space.y - gap * (rows.div_ceil(columns)) as f32) / rows.div_ceil(columns) as f32;
                (columns, across.min(down))
            })
            .max_by(|a, b| a.1.total_cmp(&b.1));
        let (columns, side) = best.map_or((1, 32.0), |(columns, side)| (columns, side.max(32.0)));
        egui::ScrollArea::vertical().auto_shrink(false).max_height(space.y.max(side)).show(ui, |ui| {
            egui::Grid::new("probes").spacing([gap, gap]).show(ui, |ui| {
                for row in 0..rows {
                    let size = egui::vec2(side * aspect, side);
                    let (rect, response) = ui.allocate_exact_size(size, egui::Sense::hover());
                    widgets::name_image(&response, "Held-out picture");
                    let part = |y: usize| y as f32 / rows as f32;
                    let uv = egui::Rect::from_min_max(egui::pos2(0.0, part(row)), egui::pos2(1.0, part(row + 1)));
                    ui.painter().image(id, rect, uv, egui::Color32::WHITE);
                    if row % columns == columns - 1 {
                        ui.end_row();
                    }
                }
            });
        });
    }
}
