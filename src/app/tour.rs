//! A short tour of the panels, for whoever is new.

use eframe::egui;

use super::settings::Tab;

/// A stop: the panel it is about, its title and what there is to see.
const STOPS: [(Tab, &str, &str); 5] = [
    (
        Tab::Explore,
        "Hide and rebuild",
        "Three quarters of this photograph are hidden. The model sees the patches on the left and paints the rest. \
         Drag “Mask ratio” and watch the picture fall apart and come back.",
    ),
    (
        Tab::Explore,
        "Your pictures, your masks",
        "Click patches to hide or show them by hand. Choose another photograph below, open or drop one of your own, or \
         paste it. Pictures stay on this computer.",
    ),
    (
        Tab::Train,
        "Train a model",
        "Press Start: a new model learns from photographs. The pictures below the curves are none of those: they show \
         what it can rebuild so far. Drag their slider to see its history.",
    ),
    (
        Tab::Inspect,
        "Look inside",
        "Click a patch to see which others the model attends to, and which it holds to be alike.",
    ),
    (Tab::Guide, "How it works", "The whole method on one page, with the numbers of the model at hand."),
];

/// Where the tour stands; it is not shown before it is started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tour {
    stop: Option<usize>,
}

impl Tour {
    /// Begins at the first stop.
    pub fn start(&mut self, tab: &mut Tab) {
        self.go(Some(0), tab);
    }

    fn go(&mut self, stop: Option<usize>, tab: &mut Tab) {
        self.stop = stop.filter(|stop| *stop < STOPS.len());
        if let Some(stop) = self.stop {
            *tab = STOPS[stop].0;
        }
    }

    /// Draws the card of the stop over the panel `tab`, which it moves on.
    pub fn show(&mut self, ctx: &egui::Context, tab: &mut Tab) {
        let Some(stop) = self.stop else { return };
        let (_, title, text) = STOPS[stop];
        let mut next = Some(stop);
        let (mut open, corner) = (true, egui::vec2(-16.0, -16.0));
        egui::Window::new(title)
            .id(egui::Id::unique("tour"))
            .anchor(egui::Align2::RIGHT_BOTTOM, corner)
            .collapsible(false)
            .resizable(false)
            .default_width(320.0)
            .open(&mut open)
            .show(ctx, |ui| {
                ui.set_max_width(320.0);
                ui.label(text);
                ui.horizontal(|ui| {
                    ui.weak(format!("{} of {}", stop + 1, STOPS.len()));
                    if ui.add_enabled(stop > 0, egui::Button::new("Back")).clicked() {
                        next = stop.checked_sub(1);
                    }
                    let last = stop + 1 == STOPS.len();
                    if ui.add(super::widgets::primary(ui, if last { "Done" } else { "Next" })).clicked() {
                        next = Some(stop + 1);
                    }
                });
            });
        if !open {
            next = None;
        }
        if next != Some(stop) {
            self.go(next, tab);
        }
    }
}
