//! What came in from outside the window's own loop, put where it belongs.

use std::sync::Arc;

use super::{App, Inbox, Phase, Tab, is_weights};
use crate::data::{self, Picture};
use crate::platform::Incoming;
use crate::session::WeightsFrom;
use crate::train::Checkpoint;

impl App {
    pub(super) fn take_files(&mut self) {
        while let Ok(message) = self.inbox.try_recv() {
            match message {
                Inbox::Given(files) => {
                    self.settings.tab = Tab::Train;
                    self.give(files);
                }
                Inbox::Folder(folder) => self.settings.train.set_folder(folder),
                Inbox::Run(folder) => {
                    if let Err(error) = self.train.stand_in(&folder, &mut self.settings.train) {
                        self.notices.error(error.to_string());
                    }
                }
                Inbox::Compare(folder) => {
                    if let Err(error) = self.train.compare(&folder) {
                        self.notices.error(error.to_string());
                    }
                }
                Inbox::Trouble(text) => self.notices.error(text),
                Inbox::Saved(Ok(name)) => self.notices.note(format!("saved {name}")),
                Inbox::Saved(Err(reason)) => self.notices.error(format!("nothing was saved: {reason}")),
                Inbox::Frame(picture) => self.explore.frame(picture, &self.settings.explore, &self.session),
                Inbox::CameraOff(reason) => {
                    self.explore.camera_off();
                    if let Some(reason) = reason {
                        self.notices.error(reason);
                    }
                }
                Inbox::Files(files) => {
                    // What holds many pictures is there to be trained on.
                    let (many, files) = files.into_iter().partition(|file: &Incoming| data::is_container(&file.name));
                    if !Vec::is_empty(&many) {
                        self.settings.tab = Tab::Train;
                        self.give(many);
                    }
                    for Incoming { name, bytes } in files {
                        match bytes {
                            Ok(bytes) if is_weights(&name) => self.take_weights(name, bytes),
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

    /// Explores with weights; where they are a whole run, it can go on as well.
    fn take_weights(&mut self, name: String, bytes: Vec<u8>) {
        if self.train.phase() == Phase::Idle
            && let Ok(checkpoint) = Checkpoint::from_bytes(&name, &bytes)
        {
            let text = format!("{name} holds a run at step {}: Train can continue it", checkpoint.step);
            self.notices.note(text);
            self.train.stand(Arc::new(checkpoint), &mut self.settings.train);
        }
        self.explore.use_weights(WeightsFrom::Bytes(name, bytes), &self.session);
    }

    /// Trains on the pictures among `files`; a file of weights is a run, and goes where such files go.
    fn give(&mut self, files: Vec<Incoming>) {
        let mut given = Vec::new();
        for Incoming { name, bytes } in files {
            match bytes {
                Ok(bytes) if is_weights(&name) => self.take_weights(name, bytes),
                Ok(bytes) => given.push((name, bytes)),
                Err(reason) => self.notices.error(format!("{name}: {reason}")),
            }
        }
        if !given.is_empty()
            && let Err(error) = self.train.give(given, &mut self.settings.train)
        {
            self.notices.error(error.to_string());
        }
    }

    pub(super) fn show_picture(&mut self, picture: Picture) {
        self.settings.tab = Tab::Explore;
        self.explore.set_picture(picture, &self.settings.explore, &self.session);
    }
}
