//! Where events go.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};

use super::message::Event;
use crate::train::Checkpoint;

/// The copy of a run's state that nobody took yet: a newer one takes its place, so that copies do not pile up before a
/// page that is hidden and takes events once a minute, and the last one is never lost.
type Copied = Arc<Mutex<Option<Arc<Checkpoint>>>>;

/// What goes through the channel.
enum Item {
    Event(Event),
    /// A copy of the run's state lies there.
    Copied,
}

/// Sends events, and wakes whoever waits for them.
#[derive(Clone)]
pub struct Outbox {
    items: Sender<Item>,
    waiting: Arc<AtomicUsize>,
    copied: Copied,
    wake: Arc<dyn Fn() + Send + Sync>,
}

/// Where they arrive.
#[derive(Debug)]
pub struct Inbox {
    items: Receiver<Item>,
    waiting: Arc<AtomicUsize>,
    copied: Copied,
}

impl Outbox {
    /// Both ends; `wake` is called after each event.
    pub fn new(wake: Arc<dyn Fn() + Send + Sync>) -> (Outbox, Inbox) {
        let (sender, receiver) = mpsc::channel();
        let (waiting, copied) = (Arc::<AtomicUsize>::default(), Copied::default());
        let inbox = Inbox { items: receiver, waiting: waiting.clone(), copied: copied.clone() };
        (Outbox { items: sender, waiting, copied, wake }, inbox)
    }

    /// Reports `event`.
    pub fn send(&self, event: Event) {
        let item = match event {
            Event::Snapshot(copy) => {
                let unread = self.copied.lock().unwrap_or_else(PoisonError::into_inner).replace(copy);
                if unread.is_some() {
                    return;
                }
                Item::Copied
            }
            event => Item::Event(event),
        };
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // Nobody listens any more: the session goes on to its end all the same.
        let _ = self.items.send(item);
        (self.wake)();
    }

    /// Events that nobody took yet.
    pub fn backlog(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl Inbox {
    /// The next event, waiting for it; `None` when there will be none.
    pub fn wait(&self) -> Option<Event> {
        self.taken(self.items.recv().ok()?)
    }

    /// The next event if there is one already.
    pub fn poll(&self) -> Option<Event> {
        self.taken(self.items.try_recv().ok()?)
    }

    fn taken(&self, item: Item) -> Option<Event> {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        match item {
            Item::Event(event) => Some(event),
            // One lies there for each such item.
            Item::Copied => self.copied.lock().unwrap_or_else(PoisonError::into_inner).take().map(Event::Snapshot),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Recipe;
    use crate::weights::Tensors;

    #[test]
    fn of_copies_that_nobody_took_the_last_arrives_where_the_first_was_sent() {
        let (outbox, inbox) = Outbox::new(Arc::new(|| ()));
        let copy = |step| {
            let [weights, first, second] = [(); 3].map(|()| Tensors::default());
            let recipe = Recipe::default();
            let (samples, average, held_out_loss) = (0, None, None);
            Event::Snapshot(Arc::new(Checkpoint {
                recipe,
                step,
                samples,
                weights,
                first,
                second,
                average,
                held_out_loss,
            }))
        };
        let arrived = || match inbox.poll() {
            Some(Event::Snapshot(copy)) => Some(copy.step),
            Some(Event::Paused(_)) => Some(0),
            other => panic!("{other:?}"),
        };
        outbox.send(copy(1));
        outbox.send(Event::Paused(true));
        outbox.send(copy(2));
        outbox.send(copy(3));
        assert_eq!(outbox.backlog(), 2);
        assert_eq!((arrived(), arrived()), (Some(3), Some(0)));
        outbox.send(copy(4));
        assert_eq!(arrived(), Some(4));
        assert!(inbox.poll().is_none() && outbox.backlog() == 0);
    }
}
