//! Where events go.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use super::message::Event;

/// Sends events, and wakes whoever waits for them.
#[derive(Clone)]
pub struct Outbox {
    events: Sender<Event>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Outbox {
    /// Into `events`, with a call of `wake` after each.
    pub fn new(events: Sender<Event>, wake: Arc<dyn Fn() + Send + Sync>) -> Outbox {
        Outbox { events, wake }
    }

    /// Reports `event`.
    pub fn send(&self, event: Event) {
        // Nobody listens any more: the session goes on to its end all the same.
        let _ = self.events.send(event);
        (self.wake)();
    }
}
