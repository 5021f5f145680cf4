//! Many kernels at once.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::{Gpu, GpuError, KernelKey};
use crate::platform;

impl Gpu {
    /// Compiles those of `keys` that are not compiled yet, on as many threads as there are processors.
    ///
    /// # Errors
    /// The first that fails.
    pub fn compile(&self, keys: &[KernelKey]) -> Result<(), GpuError> {
        let mut seen = HashSet::new();
        let missing: Vec<&KernelKey> =
            keys.iter().filter(|key| !self.is_compiled(key) && seen.insert((*key).clone())).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let start = platform::now_seconds();
        self.compiling.begin(missing.len());
        let (next, failure) = (AtomicUsize::new(0), Mutex::new(None));
        let work = || {
            while let Some(key) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(error) = self.kernel(key) {
                    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
                self.compiling.done();
            }
        };
        thread::scope(|scope| {
            for _ in 1..platform::threads().min(missing.len()) {
                // Where the platform starts no threads, this one does it all.
                if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                    break;
                }
            }
            work();
        });
        self.compiling.end(missing.len());
        log::info!("{} kernels compiled in {:.2} s", missing.len(), platform::now_seconds() - start);
        failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    /// What tells how far compiling has come, to other threads too; it may outlive the device.
    pub fn compiling(&self) -> Arc<Compiling> {
        self.compiling.clone()
    }
}

/// How far compiling has come.
#[derive(Debug, Default)]
pub struct Compiling {
    done: AtomicUsize,
    wanted: AtomicUsize,
}

impl Compiling {
    fn begin(&self, count: usize) {
        self.wanted.fetch_add(count, Ordering::Relaxed);
    }

    fn done(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    fn end(&self, count: usize) {
        self.done.fetch_sub(count, Ordering::Relaxed);
        self.wanted.fetch_sub(count, Ordering::Relaxed);
    }

    /// How many kernels of how many are compiled, while there are some to come.
    pub fn state(&self) -> Option<(usize, usize)> {
        let (done, wanted) = (self.done.load(Ordering::Relaxed), self.wanted.load(Ordering::Relaxed));
        (wanted > 0).then_some((done.min(wanted), wanted))
    }
}
