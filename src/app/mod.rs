//! The window and the page: panels over one session, which runs every model and kernel.

mod explore;
mod frames;
mod gallery;
mod guide;
mod history;
mod incoming;
mod inspect;
mod link;
mod notices;
mod outside;
mod pictures;
mod recovery;
mod settings;
mod shortcuts;
mod surface;
mod textures;
mod theme;
mod thinned;
mod tour;
mod train;
mod widgets;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use eframe::egui;

use crate::data::{self, DataError, Picture};
use crate::gpu::Gpu;
use crate::platform::{self, Incoming};
use crate::session::{Command, Event, JobError, Session, WeightsFrom};
use crate::train::{Checkpoint, RunSummary, TrainError};
pub use explore::Explore;
use explore::Wish;
pub use frames::FrameTimes;
use history::History;
pub use inspect::Inspect;
use notices::Notices;
pub use outside::View;
pub use recovery::{OnLost, Recovery};
pub use settings::{ExploreSettings, Settings, Tab, TrainSettings};
use textures::Textures;
use tour::Tour;
use train::{Ask, Standing};
pub use train::{Phase, Train};

pub use surface::setup;

/// Seconds between copies of a run's state to main memory.
const SNAPSHOT_EVERY: f64 = 20.0;

/// Extensions of files of weights.
const WEIGHTS: [&str; 4] = ["safetensors", "pth", "pt", "bin"];

/// Whether a file of this name holds weights, of this program or another.
fn is_weights(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    WEIGHTS.iter().any(|extension| name.ends_with(&format!(".{extension}")))
}

/// Whether a file of this name is read where it lies, where that can be: it may be large.
fn stays_there(name: &str) -> bool {
    is_weights(name) || data::is_container(name)
}

/// Something that came in from outside the window's own loop.
enum Message {
    /// Files that were chosen or dropped.
    Files(Vec<Incoming>),
    /// Files to train on.
    Given(Vec<Incoming>),
    /// A folder to train on.
    Folder(std::path::PathBuf),
    /// A run to go on with.
    Run(std::path::PathBuf),
    /// What the folder of a run holds, and whether the user chose to go on with it.
    Stands(std::path::PathBuf, bool, Box<Result<(Standing, History), TrainError>>),
    /// Runs to compare with.
    Compare(std::path::PathBuf),
    /// Those in a folder.
    Compared(std::path::PathBuf, Vec<RunSummary>),
    /// A picture to explore, and how many were asked for before.
    Picture(u64, Result<Picture, DataError>),
    /// The run that the browser kept.
    Kept(Vec<u8>),
    /// A file that may hold a run, by its name.
    Read(String, Box<Result<Checkpoint, TrainError>>),
    /// Something that went wrong.
    Trouble(String),
    /// Whether a file was saved.
    Saved(Result<String, String>),
    /// A frame of the camera.
    Frame(Picture),
    /// The camera is off, for a reason where it was not asked to.
    CameraOff(Option<String>),
}

/// The app, in a window or on a page.
pub struct App {
    ctx: egui::Context,
    gpu: Arc<Gpu>,
    session: Session,
    textures: Textures,
    settings: Settings,
    notices: Notices,
    tour: Tour,
    explore: Explore,
    inspect: Inspect,
    train: Train,
    inbox: Receiver<Message>,
    outside: Sender<Message>,
    /// Pictures that were opened so far: of several on their way the last one counts.
    opened: u64,
    on_lost: Option<OnLost>,
    chooser: Option<Chooser>,
}

/// Answers a question for files, of which it is told the title.
pub type Chooser = Box<dyn Fn(&str) -> Vec<Incoming>>;

impl App {
    /// The app on `gpu`, which egui draws on as well.
    ///
    /// # Errors
    /// Where the session's thread cannot be started, or egui does not draw with wgpu.
    pub fn new(gpu: Arc<Gpu>, cc: &eframe::CreationContext<'_>) -> Result<App, JobError> {
        let settings: Settings =
            cc.storage.and_then(|storage| eframe::get_value(storage, eframe::APP_KEY)).unwrap_or_default();
        theme::apply(&cc.egui_ctx, gpu.is_cpu());
        let ctx = cc.egui_ctx.clone();
        let session = Session::open(gpu.clone(), Arc::new(move || ctx.request_repaint()))?;
        let (outside, inbox) = mpsc::channel();
        let explore = Explore::default();
        session.send(Command::SetSlice(settings.slice_ms / 1e3));
        session.send(Command::SnapshotEvery(SNAPSHOT_EVERY));
        session.send(Command::Weights(WeightsFrom::Shipped));
        Ok(App {
            textures: Textures::new(cc.wgpu_render_state.clone()),
            train: Train::in_place(),
            inspect: Inspect::default(),
            notices: Notices::default(),
            tour: Tour::default(),
            ctx: cc.egui_ctx.clone(),
            gpu,
            session,
            settings,
            explore,
            inbox,
            outside,
            opened: 0,
            on_lost: None,
            chooser: None,
        })
    }

    /// Calls `on_lost` when the device is gone; the app does nothing more then.
    pub fn on_lost(&mut self, on_lost: OnLost) {
        self.on_lost = Some(on_lost);
    }

    /// Stands where another app stood before it lost its device.
    pub fn recover(&mut self, recovery: Recovery) {
        let Recovery { reason, settings, explore, train, notices } = recovery;
        (self.settings, self.explore, self.train, self.notices) = (settings, explore, train, notices);
        self.session.send(Command::SetSlice(self.settings.slice_ms / 1e3));
        self.explore.move_to(&self.session);
        self.inspect.session_changed();
        let mut text = format!("The GPU device was lost ({reason}). Everything was set up again");
        if let Some(step) = self.train.come_back(&self.session) {
            text += &format!("; training goes on from step {step}");
        } else if let Some(standing) = self.train.standing() {
            text += &format!("; training stopped at step {}: press Continue under Train", standing.step);
        }
        self.notices.tell(text);
    }

    /// Gives the device up, as a driver reset would.
    pub fn lose_device(&self) {
        self.gpu.lose();
    }

    /// What the window shows, for tests and scripts.
    pub fn explore(&self) -> &Explore {
        &self.explore
    }

    /// The inspecting panel's state, for tests and scripts.
    pub fn inspect(&self) -> &Inspect {
        &self.inspect
    }

    /// The training panel's state, for tests and scripts.
    pub fn train(&self) -> &Train {
        &self.train
    }

    /// Notices that nobody has dismissed yet.
    pub fn unread(&self) -> Vec<String> {
        self.notices.unread()
    }

    /// Makes run folders in `runs`, instead of in `runs` of the working folder or, where that cannot be written, of the
    /// user's own.
    pub fn set_runs(&mut self, runs: std::path::PathBuf) {
        self.train.set_runs(runs);
    }

    /// Asks `chooser` for files instead of the system's dialog, which tests cannot answer.
    pub fn choose_by(&mut self, chooser: Chooser) {
        self.chooser = Some(chooser);
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
                Event::Model(model) => {
                    self.explore.model_changed(*model, &self.settings.explore, &self.session);
                    self.inspect.model_changed();
                }
                Event::Inspected(looked) => self.inspect.seen(*looked),
                Event::Profiled(profile) => self.inspect.measured(*profile),
                Event::Shown(shown) => self.explore.shown(*shown),
                Event::Refused { request, reason } => {
                    self.explore.refused(&request, &self.session);
                    self.inspect.refused(&request);
                    self.notices.error(reason);
                }
                Event::Warning(text) => self.notices.tell(text),
                Event::Failed(error) => {
                    self.train.failed(&error);
                    self.notices.error(error.to_string());
                }
                Event::Lost(reason) => self.lost(reason),
                Event::MaskRatio(ratio) => {
                    self.train.set_mask_ratio(ratio);
                    self.settings.train.recipe.model.mask_ratio = ratio;
                }
                other => self.train.take(other, &mut self.notices),
            }
        }
    }

    /// Hands what outlives the device to whoever sets up another.
    fn lost(&mut self, reason: String) {
        if let Some(text) = self.train.lost() {
            self.notices.error(text);
        }
        if let Some(on_lost) = self.on_lost.take() {
            let explore = std::mem::take(&mut self.explore);
            let (train, notices) = (std::mem::take(&mut self.train), std::mem::take(&mut self.notices));
            on_lost(Recovery { reason, settings: self.settings.clone(), explore, train, notices });
        } else {
            self.notices.error(format!("The GPU device was lost: {reason}"));
        }
    }

    fn take_input(&mut self, ctx: &egui::Context) {
        let pasted = ctx.input(|input| {
            let image = |event: &egui::Event| {
                if let egui::Event::PasteImage(image) = event { Some(image.clone()) } else { None }
            };
            input.events.iter().find_map(image)
        });
        if let Some(image) = pasted {
            let pixels = image.pixels.iter().flat_map(|p| [p.r(), p.g(), p.b(), 255]).collect();
            let [width, height] = image.size.map(|side| side as u32);
            if width > 0 && height > 0 {
                self.show_picture(Picture { name: "the clipboard".to_owned(), width, height, pixels });
            }
        }
        let dropped = ctx.input(|input| input.raw.dropped_files.clone());
        if !dropped.is_empty() {
            let is_data =
                |path: &Path| path.is_dir() || (path.is_file() && data::is_container(&path.to_string_lossy()));
            let (data, files): (Vec<_>, Vec<_>) = dropped.into_iter().partition(|file| is_data(file.path()));
            self.take_data(data.iter().map(|file| file.path().to_owned()).collect());
            if !files.is_empty() {
                let (outside, ctx) = (self.outside.clone(), ctx.clone());
                let trains = self.settings.tab == Tab::Train && data.is_empty();
                platform::read_dropped(files, is_weights, move |files| {
                    // The window may be gone by now.
                    let _ = outside.send(if trains { Message::Given(files) } else { Message::Files(files) });
                    ctx.request_repaint();
                });
            }
        }
    }

    fn pick_files(&self, ctx: &egui::Context, title: &str, message: fn(Vec<Incoming>) -> Message) {
        let (outside, ctx) = (self.outside.clone(), ctx.clone());
        // Of `tar.gz`, dialogs know the last part.
        let containers = data::CONTAINERS.map(|ending| ending.rsplit('.').next().unwrap_or(ending));
        let kinds = [&data::EXTENSIONS[..], &WEIGHTS, &containers].concat();
        let chosen = move |files| {
            let _ = outside.send(message(files));
            ctx.request_repaint();
        };
        match &self.chooser {
            Some(chooser) => chosen(chooser(title)),
            None => platform::pick_files(title, &kinds, stays_there, chosen),
        }
    }

    fn pick_folder(&self, ctx: &egui::Context, title: &str, message: fn(std::path::PathBuf) -> Message) {
        let (outside, ctx) = (self.outside.clone(), ctx.clone());
        platform::pick_folder(title, move |folder| {
            let _ = outside.send(message(folder));
            ctx.request_repaint();
        });
    }

    /// Saves the run that stands, the latest snapshot of the one that goes on, or weights alone, to a file.
    fn save_run(&self, ctx: &egui::Context) {
        let Some(snapshot) = self.train.savable().cloned() else { return };
        let (outside, ctx) = (self.outside.clone(), ctx.clone());
        let name = snapshot.file_name();
        let bytes = move || snapshot.to_bytes().map_err(|error| error.to_string());
        platform::save_file(&name, bytes, move |result| {
            let _ = outside.send(Message::Saved(result));
            ctx.request_repaint();
        });
    }

    fn top_bar(&mut self, ui: &mut egui::Ui) {
        let width = ui.available_width();
        let (narrow, roomy) = (width < theme::NARROW, width >= theme::ROOMY);
        ui.horizontal_wrapped(|ui| {
            ui.label(egui::RichText::new("unmask").strong().size(18.0)).on_hover_text("masked autoencoders on any GPU");
            ui.separator();
            for (tab, name, hint) in [
                (Tab::Explore, "Explore", "hide patches of a picture and see it rebuilt (1)"),
                (Tab::Train, "Train", "train a model and watch it learn (2)"),
                (Tab::Inspect, "Inspect", "look inside the model: attention, features, costs (3)"),
                (Tab::Guide, "How it works", "masked autoencoders in one page (4)"),
            ] {
                ui.selectable_value(&mut self.settings.tab, tab, name).on_hover_text(hint);
            }
            let mut right = |ui: &mut egui::Ui| {
                theme::choice(ui);
                if ui.button("?").on_hover_text("keyboard shortcuts").clicked() {
                    self.settings.shortcuts = !self.settings.shortcuts;
                }
                self.notices.button(ui);
                if let Some(status) = self.train.status(&self.gpu) {
                    ui.label(status);
                }
                // It is the least that there has to be room for.
                if roomy {
                    let info = self.gpu.summary();
                    ui.weak(&info.name).on_hover_text(format!("{} · {} · {}", info.name, info.backend, info.driver));
                }
            };
            // A second row, where one has no room for all of it.
            match narrow {
                true => right(ui),
                false => _ = ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), right),
            }
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
        surface::keep_surface(&self.gpu, frame, &ctx);
        self.shortcuts(&ctx);
        if self.gpu.lost().is_some() {
            // egui's renderer panics where it is to draw on a device that is gone.
            return;
        }
        egui::Panel::top("top").show(ui, |ui| self.top_bar(ui));
        self.notices.show(ui);
        if self.settings.tab != Tab::Inspect {
            self.inspect.leave(&self.session);
        }
        match self.settings.tab {
            Tab::Inspect => self.inspect.ui(ui, &self.explore, &self.session, &self.gpu, &mut self.textures),
            Tab::Explore => {
                let (session, textures, trained) = (&self.session, &mut self.textures, self.train.trained());
                match self.explore.ui(ui, &mut self.settings.explore, session, textures, trained) {
                    Some(Wish::Open) => self.pick_files(&ctx, "Pictures or weights", Message::Files),
                    Some(Wish::LastRun) => match self.train.last_run() {
                        Ok(weights) => self.explore.use_weights(weights, &self.session),
                        Err(error) => self.notices.error(error.to_string()),
                    },
                    None => {}
                }
            }
            Tab::Train => {
                let slice = &mut self.settings.slice_ms;
                let (session, gpu) = (&self.session, &self.gpu);
                let asked = self.train.ui(ui, &mut self.settings.train, slice, session, gpu, &mut self.textures);
                match asked {
                    Some(Ask::Folder) => self.pick_folder(&ctx, "Pictures to train on", Message::Folder),
                    Some(Ask::Pictures) => self.pick_files(&ctx, "Pictures to train on", Message::Given),
                    Some(Ask::Run) => self.pick_folder(&ctx, "The folder of a run", Message::Run),
                    Some(Ask::Compare) => self.pick_folder(&ctx, "Runs to compare with", Message::Compare),
                    Some(Ask::Save) => self.save_run(&ctx),
                    Some(Ask::Trouble(text)) => self.notices.error(text),
                    None => {}
                }
            }
            Tab::Guide => {
                if guide::ui(ui, self.explore.model()) {
                    self.tour.start(&mut self.settings.tab);
                }
            }
        }
        self.tour.show(&ctx, &mut self.settings.tab);
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

impl Drop for App {
    fn drop(&mut self) {
        // A device that goes while egui draws on it takes the window along, by a panic, before any event is taken.
        if self.on_lost.is_some()
            && let Some(reason) = self.gpu.lost().map(str::to_owned)
        {
            self.take_events();
            if self.on_lost.is_some() {
                self.lost(reason);
            }
        }
    }
}
