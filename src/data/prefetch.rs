//! Decoding ahead of use, for data sets that do not fit in memory.

use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::beside::Coming;
use super::{DataError, Picture, Source};
use crate::platform::Decoders;

type Decoded = Result<Picture, DataError>;

/// A stream of pictures, decoded on worker threads a bounded number ahead of use.
///
/// As an iterator it yields the pictures in exactly the order asked, whatever the number of
/// threads, and waits where the next is not decoded yet. A picture that cannot be decoded is
/// yielded as its error, and the stream goes on. Dropping it stops the workers and waits for the
/// pictures that they are decoding.
///
/// A page has no threads. There [`ready`](Self::ready) lets the browser's decoders work ahead;
/// what they have not decoded when it is asked for is decoded then.
pub struct Prefetch {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Asked of the browser, in order, after those that are decoded.
    coming: VecDeque<Coming>,
    decoded: VecDeque<Decoded>,
}

struct Shared {
    source: Arc<dyn Source>,
    limit: Option<u32>,
    depth: usize,
    state: Mutex<State>,
    /// Signalled when the picture at the front of the queue is decoded, or none will follow.
    ready: Condvar,
    /// Signalled when there is room in the queue, or the workers are to stop.
    room: Condvar,
}

struct State {
    order: Box<dyn FnMut() -> Option<usize> + Send>,
    /// The pictures asked for and not yet taken, in order; empty places are being decoded.
    queue: VecDeque<Option<Decoded>>,
    /// Number of pictures taken so far: the number of the queue's front in the whole stream.
    taken: u64,
    /// No more pictures are to be asked for.
    stopped: bool,
    /// A worker panicked, so the queue may never fill.
    panicked: bool,
}

impl Prefetch {
    /// Starts decoding the pictures whose indices `order` gives, until it gives none.
    ///
    /// At most `depth` pictures (0 counts as 1) are held at a time, decoded or being decoded, by
    /// `threads` worker threads (0 counts as 1). `limit` is that of [`Source::load`]. `order` is
    /// called from the workers, one call at a time, and should be quick. Where the platform
    /// starts no threads, each picture is decoded when it is asked for.
    pub fn start(
        source: Arc<dyn Source>,
        order: impl FnMut() -> Option<usize> + Send + 'static,
        depth: usize,
        threads: usize,
        limit: Option<u32>,
    ) -> Self {
        let depth = depth.max(1);
        let shared = Arc::new(Shared {
            source,
            limit,
            depth,
            state: Mutex::new(State {
                order: Box::new(order),
                queue: VecDeque::with_capacity(depth),
                taken: 0,
                stopped: false,
                panicked: false,
            }),
            ready: Condvar::new(),
            room: Condvar::new(),
        });
        let workers = (0..threads.clamp(1, depth))
            .map_while(|_| {
                let shared = shared.clone();
                let builder = thread::Builder::new().name("prefetch".to_owned());
                builder.spawn(move || shared.work()).ok()
            })
            .collect();
        Self { shared, workers, coming: VecDeque::new(), decoded: VecDeque::new() }
    }

    /// Waits until `count` pictures that decode can be taken at once, or no more will follow.
    ///
    /// Where there are worker threads it returns immediately, for [`next`](Iterator::next) waits.
    pub async fn ready(&mut self, count: usize) {
        if !self.workers.is_empty() {
            return;
        }
        let Some(decoders) = Decoders::open() else { return };
        loop {
            while self.coming.len() + self.decoded.len() < self.shared.depth.max(count) {
                let index = self.shared.claim(&mut self.shared.lock());
                let Some(index) = index else { break };
                self.coming.push_back(Coming::start(&decoders, self.shared.source.as_ref(), index, self.shared.limit));
            }
            if self.decoded.iter().filter(|decoded| decoded.is_ok()).count() >= count {
                return;
            }
            let Some(coming) = self.coming.pop_front() else { return };
            let decoded = coming.picture(self.shared.source.as_ref(), self.shared.limit).await;
            self.decoded.push_back(decoded);
        }
    }

    /// Passes a worker's panic on to the caller.
    fn rethrow(&mut self) {
        self.shared.stop();
        for worker in self.workers.drain(..) {
            if let Err(panic) = worker.join() {
                resume_unwind(panic);
            }
        }
    }
}

impl Iterator for Prefetch {
    type Item = Decoded;

    /// The next picture, or none once the order has ended. Waits while it is being decoded.
    fn next(&mut self) -> Option<Decoded> {
        if self.workers.is_empty() {
            if let Some(decoded) = self.decoded.pop_front() {
                return Some(decoded);
            }
            let index = match self.coming.pop_front() {
                Some(coming) => coming.index(),
                None => self.shared.claim(&mut self.shared.lock())?,
            };
            return Some(self.shared.source.load(index, self.shared.limit));
        }
        let shared = self.shared.clone();
        let mut state = shared.lock();
        loop {
            if let Some(decoded) = state.queue.front_mut().and_then(Option::take) {
                state.queue.pop_front();
                state.taken += 1;
                shared.room.notify_one();
                return Some(decoded);
            }
            if state.panicked {
                drop(state);
                self.rethrow();
                return None;
            }
            if state.stopped && state.queue.is_empty() {
                return None;
            }
            state = wait(&shared.ready, state);
        }
    }
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        self.shared.stop();
        for worker in self.workers.drain(..) {
            // A panic has been reported by the thread itself, and nobody asks for its picture.
            let _ = worker.join();
        }
    }
}

impl Shared {
    /// Locks the state. A panic while it was locked leaves it consistent, and is passed on.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        self.lock().stopped = true;
        self.room.notify_all();
        self.ready.notify_all();
    }

    /// The next index of the order, none once it has ended.
    fn claim(&self, state: &mut State) -> Option<usize> {
        if state.stopped {
            return None;
        }
        let index = (state.order)();
        state.stopped = index.is_none();
        index
    }

    /// Decodes pictures until there are none to be asked for.
    fn work(&self) {
        let _report = ReportPanic(self);
        loop {
            let mut state = self.lock();
            while !state.stopped && state.queue.len() >= self.depth {
                state = wait(&self.room, state);
            }
            let Some(index) = self.claim(&mut state) else {
                drop(state);
                // Others may wait for room, and the reader for a picture.
                return self.stop();
            };
            let number = state.taken + state.queue.len() as u64;
            state.queue.push_back(None);
            drop(state);

            let decoded = self.source.load(index, self.limit);

            let mut state = self.lock();
            // The reader takes a picture only once it is decoded, so this place is still there.
            let place = (number - state.taken) as usize;
            state.queue[place] = Some(decoded);
            if place == 0 {
                self.ready.notify_one();
            }
        }
    }
}

/// Tells the reader that a worker panicked, so that it does not wait for ever.
struct ReportPanic<'a>(&'a Shared);

impl Drop for ReportPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.lock().panicked = true;
            self.0.stop();
        }
    }
}

fn wait<'a>(condition: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    condition.wait(state).unwrap_or_else(PoisonError::into_inner)
}
