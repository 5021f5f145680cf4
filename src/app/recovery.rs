//! What outlives a device: all that the app needs to stand where it stood, on another one.

use std::path::PathBuf;

use super::explore::Explore;
use super::notices::Notices;
use super::settings::Settings;
use super::train::Train;
use crate::train::TrainError;

/// The state of an app whose device is gone.
pub struct Recovery {
    /// Why it is gone.
    pub reason: String,
    pub(super) settings: Settings,
    pub(super) explore: Explore,
    pub(super) train: Train,
    pub(super) notices: Notices,
}

impl Recovery {
    /// Writes the copy of a run's state into the run's folder, unless what lies there is as new; the file.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn rescue(&self) -> Result<Option<PathBuf>, TrainError> {
        self.train.rescue()
    }
}

/// Who opens another device and an app on it.
pub type OnLost = Box<dyn FnOnce(Recovery)>;
