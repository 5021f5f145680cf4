//! Keys by tab, and the list of all keys.

use eframe::egui;

use super::{App, Message, Tab};

impl App {
    /// Does what keys ask for.
    pub(super) fn shortcuts(&mut self, ctx: &egui::Context) {
        if ctx.egui_wants_keyboard_input() {
            return;
        }
        let pressed = |key| ctx.input(|input| input.key_pressed(key) && input.modifiers.is_none());
        for (key, tab) in [
            (egui::Key::Num1, Tab::Explore),
            (egui::Key::Num2, Tab::Train),
            (egui::Key::Num3, Tab::Inspect),
            (egui::Key::Num4, Tab::Guide),
        ] {
            if pressed(key) {
                self.settings.tab = tab;
            }
        }
        if ctx.input(|input| input.key_pressed(egui::Key::Questionmark)) {
            self.settings.shortcuts = !self.settings.shortcuts;
        }
        let lose = egui::Modifiers::COMMAND | egui::Modifiers::SHIFT;
        if ctx.input_mut(|input| input.consume_key(lose, egui::Key::L)) {
            self.lose_device();
        }
        if pressed(egui::Key::O) {
            self.pick_files(ctx, "Pictures or weights", Message::Files);
        }
        if self.settings.tab == Tab::Explore {
            self.explore.shortcuts(ctx, &mut self.settings.explore, &self.session);
        }
        if self.settings.tab == Tab::Train && pressed(egui::Key::Space) {
            self.train.toggle(&self.session);
        }
    }

    /// The list of keys.
    pub(super) fn shortcut_window(&mut self, ctx: &egui::Context) {
        egui::Window::new("Keyboard shortcuts").open(&mut self.settings.shortcuts).resizable(false).show(ctx, |ui| {
            egui::Grid::new("shortcuts").num_columns(2).spacing([24.0, 4.0]).show(ui, |ui| {
                // What egui calls the command key.
                let command = if ctx.os().is_mac() { "Cmd" } else { "Ctrl" };
                for (keys, what) in [
                    ("1 2 3 4", "Explore, Train, Inspect, How it works"),
                    ("O", "open pictures or weights"),
                    ("R", "Explore: hide other patches"),
                    ("Left Right", "Explore: previous and next picture"),
                    ("Up Down", "Explore: hide more or fewer patches"),
                    ("A", "Explore: reveal patch by patch"),
                    ("Tab", "to the next button or picture; there arrow keys choose a patch, Space hides or shows it"),
                    ("Space", "Train: pause or continue"),
                    (&format!("{command} V"), "explore the picture in the clipboard"),
                    (
                        &format!("{command} Shift L"),
                        "drop the GPU device as a crash would, to see that nothing is lost",
                    ),
                    ("?", "this list"),
                ] {
                    ui.monospace(keys.to_owned());
                    ui.label(what);
                    ui.end_row();
                }
            });
        });
    }
}
