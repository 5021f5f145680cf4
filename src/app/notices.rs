//! Errors stay until they are read; all of them are kept in a log.

use eframe::egui;

use super::theme;

/// Lines kept in the log.
const KEPT: usize = 200;

/// What went wrong, and what happened.
#[derive(Default)]
pub struct Notices {
    unread: Vec<String>,
    log: Vec<String>,
    open: bool,
}

impl Notices {
    /// Shows `text` until the user dismisses it.
    pub fn error(&mut self, text: impl Into<String>) {
        let text = text.into();
        log::error!("{text}");
        if !self.unread.contains(&text) {
            self.unread.push(text.clone());
        }
        self.note(text);
    }

    /// Adds `text` to the log.
    pub fn note(&mut self, text: impl Into<String>) {
        self.log.push(text.into());
        if self.log.len() > KEPT {
            self.log.remove(0);
        }
    }

    /// Notices that are not read yet.
    pub fn unread(&self) -> &[String] {
        &self.unread
    }

    /// A button that opens the log.
    pub fn button(&mut self, ui: &mut egui::Ui) {
        ui.toggle_value(&mut self.open, "Log").on_hover_text("what happened so far");
    }

    /// Draws unread notices below the top bar, and the log at the bottom where it is open.
    pub fn show(&mut self, ui: &mut egui::Ui) {
        if !self.unread.is_empty() {
            egui::Panel::top("notices").show(ui, |ui| {
                let mut read = None;
                for (index, text) in self.unread.iter().enumerate() {
                    ui.horizontal_wrapped(|ui| {
                        ui.colored_label(theme::ERROR, "Error");
                        if ui.small_button("Dismiss").clicked() {
                            read = Some(index);
                        }
                        if ui.small_button("Copy").clicked() {
                            ui.ctx().copy_text(text.clone());
                        }
                        ui.label(text);
                    });
                }
                if let Some(index) = read {
                    self.unread.remove(index);
                }
            });
        }
        if self.open {
            egui::Panel::bottom("log").resizable(true).default_size(140.0).show(ui, |ui| {
                egui::ScrollArea::vertical().stick_to_bottom(true).auto_shrink(false).show(ui, |ui| {
                    if self.log.is_empty() {
                        ui.weak("nothing happened yet");
                    }
                    for line in &self.log {
                        ui.label(line);
                    }
                });
            });
        }
    }
}
