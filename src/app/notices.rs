//! What users should know stays until it is read; all that happened is kept in a log.

use eframe::egui;

use super::theme;

/// Lines kept in the log.
const KEPT: usize = 200;
/// Most of the window's height that notices may take.
const SHARE: f32 = 0.25;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// Good to know.
    Note,
    /// Something went wrong.
    Error,
}

/// What went wrong, and what happened.
#[derive(Default)]
pub struct Notices {
    unread: Vec<(Level, String)>,
    log: Vec<String>,
    open: bool,
}

impl Notices {
    /// Shows `text`, which tells of something that went wrong, until the user dismisses it.
    pub fn error(&mut self, text: impl Into<String>) {
        let text = text.into();
        log::error!("{text}");
        self.show_until_read(Level::Error, text);
    }

    /// Shows `text`, which is good to know, until the user dismisses it.
    pub fn tell(&mut self, text: impl Into<String>) {
        let text = text.into();
        log::warn!("{text}");
        self.show_until_read(Level::Note, text);
    }

    fn show_until_read(&mut self, level: Level, text: String) {
        if !self.unread.iter().any(|(_, other)| *other == text) {
            self.unread.push((level, text.clone()));
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
    pub fn unread(&self) -> Vec<String> {
        self.unread.iter().map(|(_, text)| text.clone()).collect()
    }

    /// A button that opens the log.
    pub fn button(&mut self, ui: &mut egui::Ui) {
        ui.toggle_value(&mut self.open, "Log").on_hover_text("what happened so far");
    }

    /// Draws unread notices below the top bar, and the log at the bottom where it is open.
    pub fn show(&mut self, ui: &mut egui::Ui) {
        if !self.unread.is_empty() {
            let most = ui.available_height() * SHARE;
            egui::Panel::top("notices").show(ui, |ui| {
                egui::ScrollArea::vertical().max_height(most).auto_shrink([false, true]).show(ui, |ui| self.list(ui));
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

    fn list(&mut self, ui: &mut egui::Ui) {
        let mut read = None;
        if self.unread.len() > 2 && ui.small_button("Dismiss all").clicked() {
            self.unread.clear();
        }
        for (index, (level, text)) in self.unread.iter().enumerate() {
            ui.horizontal_wrapped(|ui| {
                match level {
                    Level::Error => ui.colored_label(theme::ERROR, "Error"),
                    Level::Note => ui.strong("Notice"),
                };
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
    }
}
