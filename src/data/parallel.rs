//! The same for many things at a time.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// What `work` makes of each of the `items`, in their order, by up to `threads` threads, the caller's one of them; by that
/// alone where the platform starts none. Each takes the next item that nobody has taken, so that none idles while another
/// is held up by a large one.
///
/// # Errors
/// That of the first item that has one. Nothing is begun any more once there is an error.
pub fn each<T: Sync, R: Send, E: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let run = || {
        let mut done = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { break };
            let result = work(item);
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
            done.push((index, result));
        }
        done
    };
    let mut results = thread::scope(|scope| {
        let helpers: Vec<_> =
            (1..threads.min(items.len())).map_while(|_| thread::Builder::new().spawn_scoped(scope, run).ok()).collect();
        let mut results = run();
        for helper in helpers {
            results.extend(helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        results
    });
    results.sort_unstable_by_key(|(index, _)| *index);
    // Items are begun in their order: what lies before an error is done.
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_the_first_error_counts() {
        let items: Vec<u32> = (0..1000).collect();
        let doubled = each(&items, 4, |item| Ok::<u32, ()>(item * 2)).expect("no error");
        assert!(doubled.into_iter().eq((0..1000).map(|item| item * 2)));
        let failed = each(&items, 4, |item| if item % 100 == 99 { Err(*item) } else { Ok(()) });
        assert_eq!(failed, Err(99));
        assert_eq!(each(&[], 4, |_: &u32| Ok::<(), ()>(())), Ok(vec![]));
    }
}
