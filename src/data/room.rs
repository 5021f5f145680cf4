//! Room in memory for pictures that are being decoded: many threads decode at once, and a few pictures of a hundred
//! million pixels each would be more than a laptop has.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes that all pictures in decoding may take together; a larger one is decoded alone.
const ROOM: u64 = 2 << 30;

static TAKEN: Mutex<u64> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

/// Room that is taken until it is dropped.
#[derive(Debug)]
pub(super) struct Room(u64);

impl Room {
    /// Room for `bytes`, once there is so much.
    pub(super) fn take(bytes: u64) -> Room {
        let bytes = bytes.min(ROOM);
        let mut taken = lock();
        while *taken + bytes > ROOM {
            taken = FREED.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken += bytes;
        Room(bytes)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        *lock() -= self.0;
        FREED.notify_all();
    }
}

/// How much is taken: a sum that no panic leaves half changed.
fn lock() -> MutexGuard<'static, u64> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn large_pictures_take_turns() {
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = || {
            let _room = Room::take(ROOM / 3);
            most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(20));
            inside.fetch_sub(1, Ordering::SeqCst);
        };
        thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(work))));
        assert!((1..=3).contains(&most.into_inner()), "no more than there is room for");
        // More than there is room for at all waits for nobody.
        drop(Room::take(u64::MAX));
    }
}
