//! What outlives a device: all that the app needs to stand where it stood, on another one.

use super::explore::Explore;
use super::notices::Notices;
use super::settings::Settings;
use super::train::Train;

/// The state of an app whose device is gone.
pub struct Recovery {
    /// Why it is gone.
    pub reason: String,
    pub(super) settings: Settings,
    pub(super) explore: Explore,
    pub(super) train: Train,
    pub(super) notices: Notices,
}

/// Who opens another device and an app on it.
pub type OnLost = Box<dyn FnOnce(Recovery)>;
