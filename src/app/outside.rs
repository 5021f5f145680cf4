//! The app as scripts see it: what it shows, and what they put in.

use std::sync::Arc;

use serde::Serialize;

use super::{App, Message, Phase, Settings, Tab, link};
use crate::data::{Picture, Source};
use crate::ops::MaskStrategy;
use crate::platform::Incoming;

/// What the app shows.
#[derive(Clone, Debug, Serialize)]
pub struct View {
    /// The open panel.
    pub tab: Tab,
    /// Adapter that it runs on.
    pub adapter: String,
    /// Model that is explored.
    pub model: Option<String>,
    /// Picture that is explored.
    pub picture: String,
    /// Share of hidden patches that is set.
    pub ratio: f64,
    /// Seed that is set.
    pub seed: u32,
    /// Strategy that is set.
    pub strategy: MaskStrategy,
    /// Visible patches of the picture that is shown.
    pub visible: Option<usize>,
    /// Patches in all.
    pub patches: Option<usize>,
    /// Error of the hidden patches that are shown.
    pub hidden_mse: Option<f64>,
    /// Seconds that the latest result took.
    pub seconds: Option<f64>,
    /// Results shown so far.
    pub shown: u64,
    /// Where training stands.
    pub phase: Phase,
    /// Pictures given to train on, as files that came in.
    pub given: usize,
    /// Training steps done.
    pub step: u64,
    /// Layer and token that are looked at inside the model.
    pub inspected: Option<[usize; 2]>,
    /// Step at which a run stands that can go on.
    pub stands: Option<u64>,
    /// Whether there is something that Save… puts into a file.
    pub savable: bool,
    /// Loss of the latest training step.
    pub loss: Option<f64>,
    /// Times between frames, where Inspect counts them: median, 95th percentile and longest, milliseconds.
    pub frame_ms: Option<[f64; 3]>,
    /// Notices that nobody has dismissed.
    pub notices: Vec<String>,
}

impl App {
    /// What the app shows now.
    pub fn view(&self) -> View {
        let result = self.explore.result();
        let measured = result.map(|shown| &shown.measured);
        View {
            tab: self.settings.tab,
            adapter: self.gpu.name().to_owned(),
            model: self.explore.model().map(|model| model.name.clone()),
            picture: self.explore.picture().to_owned(),
            ratio: self.settings.explore.ratio,
            seed: self.settings.explore.seed,
            strategy: self.settings.explore.strategy,
            visible: measured.map(|measured| measured.hidden.iter().filter(|hidden| !**hidden).count()),
            patches: measured.map(|measured| measured.hidden.len()),
            hidden_mse: measured.map(|measured| measured.hidden_mse),
            seconds: result.map(|shown| shown.seconds),
            shown: self.explore.results(),
            phase: self.train.phase(),
            given: self.train.given(),
            step: self.train.step(),
            inspected: self.inspect.looked().map(|looked| [looked.look.layer, looked.look.token]),
            stands: self.train.standing().map(|standing| standing.step),
            savable: self.train.savable().is_some(),
            loss: self.train.history().last.loss,
            frame_ms: self.inspect.frame_times().map(|times| [times.median, times.percentile_95, times.longest]),
            notices: self.notices.unread(),
        }
    }

    /// Sets what the query of a page's address says.
    pub fn apply_link(&mut self, query: &str) {
        let before = self.settings.explore.photo.clone();
        link::apply(&mut self.settings, query);
        let photo = &mut self.settings.explore.photo;
        if *photo != before && !self.explore.knows(photo) {
            self.notices.error(format!("image={photo}: no such photograph is built in; {before} is shown"));
            *photo = before;
        }
    }

    /// The query of an address that leads to what is set now.
    pub fn link(&self) -> String {
        link::query(&self.settings, self.explore.photo())
    }

    /// What is set.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes in files, as if they had been dropped onto the window.
    pub fn put_files(&self, files: Vec<Incoming>) {
        self.put(Message::Files(files));
    }

    /// Takes in the files of a folder, to train on.
    pub fn put_folder(&self, files: Vec<Incoming>) {
        self.put(Message::Given(files));
    }

    /// Trains on `pictures` from now on, as if they had come in as files.
    pub fn put_pictures(&mut self, pictures: Arc<dyn Source>) {
        self.train.give_source(pictures, &mut self.settings.train);
    }

    /// Takes up the run that the browser kept, unless another is there already.
    pub fn put_kept(&self, run: Vec<u8>) {
        self.put(Message::Kept(run));
    }

    /// Takes up the run in `folder`, as if it had been chosen.
    pub fn put_run(&self, folder: std::path::PathBuf) {
        self.put(Message::Run(folder));
    }

    /// Shows a notice of something that went wrong.
    pub fn put_error(&self, text: String) {
        self.put(Message::Trouble(text));
    }

    /// Takes in a frame of the camera.
    pub fn put_frame(&self, picture: Picture) {
        self.put(Message::Frame(picture));
    }

    /// Takes note that the camera is off, and why where nobody asked for it.
    pub fn camera_off(&self, reason: Option<String>) {
        self.put(Message::CameraOff(reason));
    }

    fn put(&self, message: Message) {
        // The app holds the other end itself.
        let _ = self.outside.send(message);
        self.ctx.request_repaint();
    }
}
