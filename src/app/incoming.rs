//! What came in from outside the window's own loop, put where it belongs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{App, History, Message, Phase, Standing, Tab, is_weights};
use crate::data::{self, Picture};
use crate::platform::{self, Content, Incoming};
use crate::session::WeightsFrom;
use crate::train::{Checkpoint, NO_RUN, RunFolder, TrainError, find_runs};
use crate::weights::{Bytes, holds_weights, open_bytes, open_weights};

/// How to take up a run from elsewhere instead of the one that stands.
const LET_GO: &str = "Close that run under Train (Save… there keeps a copy first), then open the other again";

/// Short side to which larger pictures are reduced, pixels.
const MOST_SIDE: u32 = 2048;

impl App {
    pub(super) fn take_files(&mut self) {
        while let Ok(message) = self.inbox.try_recv() {
            match message {
                Message::Given(files) => {
                    self.settings.tab = Tab::Train;
                    self.give(files);
                }
                Message::Folder(folder) => self.settings.train.set_folders(vec![folder]),
                Message::Run(folder) => self.read_run(folder, true),
                Message::Stands(folder, asked, run) => self.stand_in(&folder, asked, *run),
                Message::Compare(folder) => self.beside(move || {
                    let runs = find_runs(&folder);
                    Message::Compared(folder, runs)
                }),
                Message::Compared(folder, runs) if runs.is_empty() => {
                    self.notices.error(format!("{} {NO_RUN}", folder.display()));
                }
                Message::Compared(_, runs) => self.train.compare(runs),
                Message::Kept(run) => self.take_kept(&run),
                Message::Read(name, checkpoint) => {
                    if self.train.phase() == Phase::Idle {
                        self.take_run(&name, *checkpoint);
                    }
                }
                Message::Trouble(text) => self.notices.error(text),
                Message::Saved(Ok(name)) => self.notices.note(format!("saved {name}")),
                Message::Saved(Err(reason)) => self.notices.error(format!("nothing was saved: {reason}")),
                Message::Frame(picture) => {
                    // Elsewhere nobody sees what is made of it.
                    if matches!(self.settings.tab, Tab::Explore | Tab::Inspect) {
                        self.explore.frame(picture, &self.settings.explore, &self.session);
                    }
                }
                Message::CameraOff(reason) => {
                    self.explore.camera_off();
                    if let Some(reason) = reason {
                        self.notices.error(reason);
                    }
                }
                Message::Files(files) => self.open_files(files),
                Message::Picture(number, Ok(picture)) if number == self.opened => self.show_picture(picture),
                Message::Picture(_, Ok(_)) => {}
                Message::Picture(_, Err(error)) => self.notices.error(error.to_string()),
            }
        }
    }

    /// Files that were chosen or dropped: pictures and weights to explore, or what holds pictures to train on.
    fn open_files(&mut self, files: Vec<Incoming>) {
        // What holds many pictures is there to be trained on.
        let (many, files) = files.into_iter().partition(|file: &Incoming| data::is_container(&file.name));
        if !Vec::is_empty(&many) {
            self.settings.tab = Tab::Train;
            self.give(many);
        }
        let (mut shown, mut pictures) = (None, 0);
        for Incoming { name, content } in files {
            match content {
                Ok(Content::Path(path)) => self.take_weights_at(path),
                Ok(Content::Bytes(bytes)) if is_weights(&name) => self.take_weights(name, bytes),
                Ok(Content::Bytes(bytes)) => {
                    pictures += 1;
                    shown = Some((name, bytes));
                }
                Err(reason) => self.notices.error(format!("{name}: {reason}")),
            }
        }
        if pictures > 1 {
            self.notices.tell(format!(
                "Of these {pictures} pictures the last is shown. Drop them on Train to train on all of them"
            ));
        }
        if let Some((name, bytes)) = shown {
            self.opened += 1;
            let number = self.opened;
            self.beside(move || Message::Picture(number, data::decode(&name, &bytes, Some(MOST_SIDE))));
        }
    }

    /// Does `work` that may take its time beside the window, and takes up the message that comes of it.
    fn beside(&mut self, work: impl FnOnce() -> Message + Send + 'static) {
        let (outside, ctx) = (self.outside.clone(), self.ctx.clone());
        let begun = platform::spawn(move || async move {
            // The window may be gone by now.
            let _ = outside.send(work());
            ctx.request_repaint();
        });
        if let Err(error) = begun {
            self.notices.error(format!("no thread to read it: {error}"));
        }
    }

    /// Folders and archives that were dropped: runs and weights to explore with, or pictures to train on.
    pub(super) fn take_data(&mut self, paths: Vec<PathBuf>) {
        let (runs, paths): (Vec<PathBuf>, Vec<PathBuf>) = paths.into_iter().partition(|path| RunFolder::is_run(path));
        for folder in runs {
            self.read_run(folder.clone(), false);
            self.explore.use_weights(WeightsFrom::Path(folder), &self.session);
        }
        let (weights, data): (Vec<PathBuf>, Vec<PathBuf>) = paths.into_iter().partition(|path| holds_weights(path));
        weights.into_iter().for_each(|folder| self.take_weights_at(folder));
        if !data.is_empty() {
            self.settings.train.set_folders(data);
            self.settings.tab = Tab::Train;
        }
    }

    /// Reads the run in `folder`, whose metrics may be long.
    fn read_run(&mut self, folder: PathBuf, asked: bool) {
        self.beside(move || {
            let run = Standing::read(&folder);
            Message::Stands(folder, asked, Box::new(run))
        });
    }

    /// Takes up the `run` in `folder`, which the user chose to go on with where it was `asked` for, unless that would lose
    /// another from sight.
    fn stand_in(&mut self, folder: &Path, asked: bool, run: Result<(Standing, History), TrainError>) {
        let name = folder.display().to_string();
        if self.train.phase() != Phase::Idle {
            self.notices.tell(format!("{name} holds a run: Open run… under Train takes it up once nothing trains"));
            return;
        }
        let held_in = self.train.held_in().map(Path::to_owned);
        let how = if held_in.is_some() { "Open run… under Train takes up the other" } else { LET_GO };
        let same = |held: &Path| held.canonicalize().ok() == folder.canonicalize().ok();
        let gives_way = held_in.is_some_and(|held| asked || same(&held));
        if RunFolder::is_run(folder) && !gives_way && self.keeps(&name, how) {
            return;
        }
        match run {
            Ok((standing, history)) => {
                let step = standing.step;
                self.notices.note(format!("{name} holds a run at step {step}: Train can continue it"));
                self.train.stand_in(standing, history, &mut self.settings.train);
            }
            Err(error) => self.notices.error(error.to_string()),
        }
    }

    /// Whether a run that stands is kept where `name` holds another; then it is told, and `how` to take up the other.
    fn keeps(&mut self, name: &str, how: &str) -> bool {
        let held = self.train.held();
        if let Some(step) = held {
            self.notices
                .tell(format!("{name} holds a run, but another one, stopped at step {step}, is still open. {how}"));
        }
        held.is_some()
    }

    /// Explores with the weights at `path`, with what lies beside them; where they are a whole run, it can go on as well.
    fn take_weights_at(&mut self, path: PathBuf) {
        let is_run = open_weights(&path).is_ok_and(|weights| Checkpoint::is_in(weights.as_ref()));
        if is_run && self.train.phase() == Phase::Idle {
            let path = path.clone();
            self.beside(move || Message::Read(path.display().to_string(), Box::new(Checkpoint::read(&path))));
        }
        self.explore.use_weights(WeightsFrom::Path(path), &self.session);
    }

    /// Explores with weights; where they are a whole run, it can go on as well.
    fn take_weights(&mut self, name: String, bytes: Vec<u8>) {
        let bytes = Arc::new(bytes);
        let is_run = open_bytes(&name, Bytes::Memory(bytes.clone())).is_ok_and(|weights| Checkpoint::is_in(&weights));
        if is_run && self.train.phase() == Phase::Idle {
            let checkpoint = Checkpoint::from_bytes(&name, &bytes);
            self.take_run(&name, checkpoint);
        }
        self.explore.use_weights(WeightsFrom::Bytes(name, bytes), &self.session);
    }

    /// Takes up the run in a file of weights; what is wrong with one that is none is told by whoever opens the weights.
    fn take_run(&mut self, name: &str, checkpoint: Result<Checkpoint, TrainError>) {
        let Ok(checkpoint) = checkpoint else { return };
        let step = checkpoint.step;
        if checkpoint.first.tensors.is_empty() || checkpoint.second.tensors.is_empty() {
            let text = format!("{name} holds the weights of a run at step {step}, without what it takes to go on");
            // Who trains expects it to.
            match self.settings.tab {
                Tab::Train => self.notices.tell(format!("{text}: Explore shows what they make of pictures")),
                _ => self.notices.note(text),
            }
        } else if !self.keeps(name, LET_GO) {
            self.notices.note(format!("{name} holds a run at step {step}: Train can continue it"));
            platform::leave_kept();
            self.train.stand(Arc::new(checkpoint), &mut self.settings.train);
        }
    }

    /// Takes up the run that the browser kept, unless another was begun or opened meanwhile.
    fn take_kept(&mut self, bytes: &[u8]) {
        if self.train.phase() != Phase::Idle || self.train.standing().is_some() {
            platform::leave_kept();
            return;
        }
        match Checkpoint::from_bytes("the run that the browser kept", bytes) {
            Ok(checkpoint) => {
                self.notices.note(format!("the browser kept a run at step {}", checkpoint.step));
                self.train.stand(Arc::new(checkpoint), &mut self.settings.train);
            }
            Err(error) => {
                platform::leave_kept();
                self.notices.error(error.to_string());
            }
        }
    }

    /// Trains on the pictures among `files`; a file of weights is a run, and goes where such files go.
    fn give(&mut self, files: Vec<Incoming>) {
        let (mut given, mut lying) = (Vec::new(), Vec::new());
        for Incoming { name, content } in files {
            match content {
                Ok(Content::Path(path)) if data::is_container(&name) => lying.push(path),
                Ok(Content::Path(path)) => self.take_weights_at(path),
                Ok(Content::Bytes(bytes)) if is_weights(&name) => self.take_weights(name, bytes),
                Ok(Content::Bytes(bytes)) => given.push((name, bytes)),
                Err(reason) => self.notices.error(format!("{name}: {reason}")),
            }
        }
        if !lying.is_empty() {
            self.settings.train.set_folders(lying);
        }
        if !given.is_empty()
            && let Err(error) = self.train.give(given, &mut self.settings.train)
        {
            self.notices.error(error.to_string());
        }
    }

    pub(super) fn show_picture(&mut self, picture: Picture) {
        self.settings.tab = Tab::Explore;
        // Whatever is still on its way was asked for before.
        self.opened += 1;
        self.explore.set_picture(picture, &self.settings.explore, &self.session);
    }
}
