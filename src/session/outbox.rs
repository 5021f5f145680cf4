//! Where events go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};

use super::message::Event;

/// Sends events, and wakes whoever waits for them.
#[derive(Clone)]
pub struct Outbox {
    events: Sender<Event>,
    waiting: Arc<AtomicUsize>,
    copies: Arc<AtomicUsize>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

/// Where they arrive.
#[derive(Debug)]
pub struct Inbox {
    events: Receiver<Event>,
    waiting: Arc<AtomicUsize>,
    copies: Arc<AtomicUsize>,
}

impl Outbox {
    /// Both ends; `wake` is called after each event.
    pub fn new(wake: Arc<dyn Fn() + Send + Sync>) -> (Outbox, Inbox) {
        let (sender, receiver) = mpsc::channel();
        let (waiting, copies) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let inbox = Inbox { events: receiver, waiting: waiting.clone(), copies: copies.clone() };
        (Outbox { events: sender, waiting, copies, wake }, inbox)
    }

    /// Reports `event`.
    pub fn send(&self, event: Event) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if matches!(event, Event::Snapshot(_)) {
            self.copies.fetch_add(1, Ordering::Relaxed);
        }
        // Nobody listens any more: the session goes on to its end all the same.
        let _ = self.events.send(event);
        (self.wake)();
    }

    /// Events that nobody took yet.
    pub fn backlog(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether a copy of a run's state is among them.
    pub fn holds_copy(&self) -> bool {
        self.copies.load(Ordering::Relaxed) > 0
    }
}

impl Inbox {
    /// The next event, waiting for it; `None` when there will be none.
    pub fn wait(&self) -> Option<Event> {
        self.taken(self.events.recv().ok())
    }

    /// The next event if there is one already.
    pub fn poll(&self) -> Option<Event> {
        self.taken(self.events.try_recv().ok())
    }

    fn taken(&self, event: Option<Event>) -> Option<Event> {
        if let Some(event) = &event {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            if matches!(event, Event::Snapshot(_)) {
                self.copies.fetch_sub(1, Ordering::Relaxed);
            }
        }
        event
    }
}
