//! One-shot signals between a callback and a future.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

#[derive(Default)]
struct State {
    done: bool,
    waker: Option<Waker>,
}

/// The end that notifies; dropping it notifies too, so that no waiter hangs.
pub struct Notifier(Arc<Mutex<State>>);

impl Notifier {
    /// Wakes the waiting end.
    pub fn notify(self) {}
}

impl Drop for Notifier {
    fn drop(&mut self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.done = true;
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }
}

/// The end that waits.
pub struct Waiter(Arc<Mutex<State>>);

impl Waiter {
    /// Whether the other end has notified.
    pub fn is_told(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).done
    }
}

impl Future for Waiter {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.done {
            Poll::Ready(())
        } else {
            state.waker = Some(context.waker().clone());
            Poll::Pending
        }
    }
}

/// A connected pair.
pub fn signal() -> (Notifier, Waiter) {
    let state = Arc::new(Mutex::new(State::default()));
    (Notifier(state.clone()), Waiter(state))
}
