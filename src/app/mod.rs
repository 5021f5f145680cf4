//! The window and the page: panels over one session. No number is computed here.

mod explore;
mod gallery;
mod guide;
mod history;
mod link;
mod notices;
mod outside;
mod pictures;
mod settings;
mod textures;
mod theme;
mod train;
mod widgets;
mod window;

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use eframe::egui;

use crate::data::{self, Picture};
use crate::gpu::Gpu;
use crate::platform::{self, Incoming};
use crate::session::{Command, Event, JobError, Session, WeightsFrom};
pub use explore::Explore;
use notices::Notices;
pub use outside::View;
pub use settings::{ExploreSettings, Settings, Tab, TrainSettings};
use textures::Textures;
pub use train::{Phase, Train};

pub use window::{run, setup};

/// Something that came in from outside the window's own loop.
enum Inbox {
    /// Files that were chosen or dropped.
    Files(Vec<Incoming>),
    /// A folder to train on.
    Folder(std::path::PathBuf),
    /// A frame of the camera.
    Frame(Picture),
    /// The camera is off, for a reason where it was not asked to.
    CameraOff(Option<String>),
}

/// The app, in a window or on a page.
pub struct App {
    gpu: Arc<Gpu>,
    session: Session,
    textures: Textures,
    settings: Settings,
    notices: Notices,
    explore: Explore,
    train: Train,
    inbox: Receiver<Inbox>,
    outside: Sender<Inbox>,
}

impl App {
    /// The app on `gpu`, which egui draws on as well.
    ///
    /// # Errors
    /// Where the session's thread cannot be started, or egui does not draw with wgpu.
    pub fn new(gpu: Arc<Gpu>, cc: &eframe::CreationContext<'_>) -> Result<App, JobError> {
        let settings: Settings =
            cc.storage.and_then(|storage| eframe::get_value(storage, eframe::APP_KEY)).unwrap_or_default();
        theme::apply(&cc.egui_ctx);
        let ctx = cc.egui_ctx.clone();
        let session = Session::open(gpu.clone(), Arc::new(move || ctx.request_repaint()))?;
        let (outside, inbox) = mpsc::channel();
        let explore = Explore::new(&settings.explore);
        session.send(Command::SetSlice(settings.slice_ms / 1e3));
        session.send(Command::Weights(WeightsFrom::Shipped));
        Ok(App {
            textures: Textures::new(cc.wgpu_render_state.clone()),
            train: Train::default(),
            notices: Notices::default(),
            gpu,
            session,
            settings,
            explore,
            inbox,
            outside,
        })
    }

    /// What the window shows, for tests and scripts.
    pub fn explore(&self) -> &Explore {
        &self.explore
    }

    /// The training panel's state, for tests and scripts.
    pub fn train(&self) -> &Train {
        &self.train
    }

    /// Notices that nobody has dismissed yet.
    pub fn unread(&self) -> &[String] {
        self.notices.unread()
    }

    /// Makes run folders in `runs` instead of `runs` in the working folder.
    pub fn set_runs(&mut self, runs: std::path::PathBuf) {
        self.train.set_runs(runs);
    }

    /// What is set.
    pub fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// Opens the panel `tab`.
    pub fn open(&mut self, tab: Tab) {
        self.settings.tab = tab;
    }

    fn take_events(&mut self) {
        while let Some(event) = self.session.poll() {
            match event {
                Event::Model(model) => self.explore.model_changed(*model, &self.settings.explore, &self.session),
                Event::Shown(shown) => self.explore.shown(*shown),
                Event::Refused(text) | Event::Warning(text) => self.notices.error(text),
                Event::Failed(error) => {
                    self.train.ended();
                    self.notices.error(error.to_string());
                }
                other => self.train.take(other, &mut self.notices),
            }
        }
    }

    fn take_files(&mut self) {
        while let Ok(message) = self.inbox.try_recv() {
            match message {
                Inbox::Folder(folder) => self.settings.train.set_folder(folder),
                Inbox::Frame(picture) => self.explore.frame(picture, &self.settings.explore, &self.session),
                Inbox::CameraOff(reason) => {
                    self.explore.camera_off();
                    if let Some(reason) = reason {
                        self.notices.error(reason);
                    }
                }
                Inbox::Files(files) => {
                    for Incoming { name, bytes } in files {
                        match bytes {
                            Ok(bytes) if name.ends_with(".safetensors") => {
                                self.session.send(Command::Weights(WeightsFrom::Bytes(name, bytes)));
                            }
                            Ok(bytes) => match data::decode(&name, &bytes, Some(2048)) {
                                Ok(picture) => self.show_picture(picture),
                                Err(error) => self.notices.error(error.to_string()),
                            },
                            Err(reason) => self.notices.error(format!("{name}: {reason}")),
                        }
                    }
                }
            }
        }
    }

    fn show_picture(&mut self, picture: Picture) {
        self.settings.tab = Tab::Explore;
        self.explore.set_picture(picture, &self.settings.explore, &self.session);
    }

    fn take_input(&mut self, ctx: &egui::Context) {
        let dropped = ctx.input(|input| input.raw.dropped_files.clone());
        if !dropped.is_empty() {
            let folder = dropped.iter().map(|file| file.path().to_owned()).find(|path| path.is_dir());
            if let Some(folder) = folder {
                self.settings.train.set_folder(folder);
                self.settings.tab = Tab::Train;
            } else {
                let (outside, ctx) = (self.outside.clone(), ctx.clone());
                platform::read_dropped(dropped, move |files| {
                    // The window may be gone by now.
                    let _ = outside.send(Inbox::Files(files));
                    ctx.request_repaint();
                });
            }
        }
    }

    fn open_files(&self, ctx: &egui::Context) {
        let (outside, ctx) = (self.outside.clone(), ctx.clone());
        let kinds = ["jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "safetensors"];
        platform::pick_files("Pictures or weights", &kinds, move |files| {
            let _ = outside.send(Inbox::Files(files));
            ctx.request_repaint();
        });
    }

    fn top_bar(&mut self, ui: &mut egui::Ui) {
        ui.horizontal_wrapped(|ui| {
            ui.label(egui::RichText::new("unmask").strong().size(18.0)).on_hover_text("masked autoencoders on any GPU");
            ui.separator();
            for (tab, name, hint) in [
                (Tab::Explore, "Explore", "hide patches of a picture and see it rebuilt (1)"),
                (Tab::Train, "Train", "train a model and watch it learn (2)"),
                (Tab::Guide, "How it works", "masked autoencoders in one page (3)"),
            ] {
                ui.selectable_value(&mut self.settings.tab, tab, name).on_hover_text(hint);
            }
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                theme::choice(ui);
                if ui.button("?").on_hover_text("keyboard shortcuts").clicked() {
                    self.settings.shortcuts = !self.settings.shortcuts;
                }
                self.notices.button(ui);
                if let Some(status) = self.train.status() {
                    ui.label(status);
                }
                let info = self.gpu.summary();
                ui.weak(&info.name).on_hover_text(format!("{} · {} · {}", info.name, info.backend, info.driver));
            });
        });
    }

    fn shortcuts(&mut self, ctx: &egui::Context) {
        if ctx.egui_wants_keyboard_input() {
            return;
        }
        let pressed = |key| ctx.input(|input| input.key_pressed(key) && input.modifiers.is_none());
        for (key, tab) in
            [(egui::Key::Num1, Tab::Explore), (egui::Key::Num2, Tab::Train), (egui::Key::Num3, Tab::Guide)]
        {
            if pressed(key) {
                self.settings.tab = tab;
            }
        }
        if ctx.input(|input| input.key_pressed(egui::Key::Questionmark)) {
            self.settings.shortcuts = !self.settings.shortcuts;
        }
        if pressed(egui::Key::O) {
            self.open_files(ctx);
        }
        if self.settings.tab == Tab::Explore {
            self.explore.shortcuts(ctx, &mut self.settings.explore, &self.session);
        }
        if self.settings.tab == Tab::Train && pressed(egui::Key::Space) {
            self.train.toggle(&self.session);
        }
    }

    fn shortcut_window(&mut self, ctx: &egui::Context) {
        egui::Window::new("Keyboard shortcuts").open(&mut self.settings.shortcuts).resizable(false).show(ctx, |ui| {
            egui::Grid::new("shortcuts").num_columns(2).spacing([24.0, 4.0]).show(ui, |ui| {
                for (keys, what) in [
                    ("1 2 3", "Explore, Train, How it works"),
                    ("O", "open pictures or weights"),
                    ("R", "hide other patches"),
                    ("Left Right", "previous and next picture"),
                    ("Up Down", "hide more or fewer patches"),
                    ("A", "reveal patch by patch"),
                    ("Space", "pause or go on with training"),
                    ("?", "this list"),
                ] {
                    ui.monospace(keys);
                    ui.label(what);
                    ui.end_row();
                }
            });
        });
    }
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &egui::Context, _frame: &mut eframe::Frame) {
        self.take_events();
        self.take_files();
        self.take_input(ctx);
    }

    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut eframe::Frame) {
        let ctx = ui.ctx().clone();
        window::keep_surface(&self.gpu, frame, &ctx);
        self.shortcuts(&ctx);
        egui::Panel::top("top").show(ui, |ui| self.top_bar(ui));
        self.notices.show(ui);
        match self.settings.tab {
            Tab::Explore => {
                let open = self.explore.ui(ui, &mut self.settings.explore, &self.session, &mut self.textures);
                if open {
                    self.open_files(&ctx);
                }
            }
            Tab::Train => {
                let (outside, waker) = (self.outside.clone(), ctx.clone());
                let pick = move || {
                    platform::pick_folder("Pictures to train on", move |folder| {
                        let _ = outside.send(Inbox::Folder(folder));
                        waker.request_repaint();
                    });
                };
                let slice = &mut self.settings.slice_ms;
                self.train.ui(ui, &mut self.settings.train, slice, &self.session, &self.gpu, &mut self.textures, pick);
            }
            Tab::Guide => guide::ui(ui, self.explore.model()),
        }
        self.shortcut_window(&ctx);
    }

    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        eframe::set_value(storage, eframe::APP_KEY, &self.settings);
    }

    fn on_exit(&mut self) {
        // What is in training is saved before the window is gone.
        if self.session.send(Command::Close) && platform::HAS_FOLDERS {
            while let Some(event) = self.session.wait() {
                if let Event::Failed(error) = event {
                    log::error!("{error}");
                }
            }
        }
    }
}
