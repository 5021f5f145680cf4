//! Many kernels at once.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::{Gpu, GpuError, KernelKey};
use crate::platform;

impl Gpu {
    /// Compiles those of `keys` that are not compiled yet, on as many threads as there are processors. Where the platform
    /// has no threads, as in a page, one after the other, each waited for: the page is drawn in between, and can tell how
    /// far it has come.
    ///
    /// # Errors
    /// The first that fails.
    pub async fn compile(&self, keys: &[KernelKey]) -> Result<(), GpuError> {
        let mut seen = HashSet::new();
        let missing: Vec<&KernelKey> =
            keys.iter().filter(|key| !self.is_compiled(key) && seen.insert((*key).clone())).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let start = platform::now_seconds();
        let batch = Batch::new(&self.compiling, missing.len());
        let result = match platform::threads() {
            1 => self.compile_in_turn(&missing, &batch).await,
            threads => self.compile_side_by_side(&missing, &batch, threads),
        };
        drop(batch);
        log::info!("{} kernels compiled in {:.2} s", missing.len(), platform::now_seconds() - start);
        result
    }

    async fn compile_in_turn(&self, keys: &[&KernelKey], batch: &Batch<'_>) -> Result<(), GpuError> {
        for key in keys {
            let scope = self.device().push_error_scope(wgpu::ErrorFilter::Validation);
            let compiled = self.kernel(key);
            // In a browser this comes when the pipeline is there.
            let refused = scope.pop().await;
            compiled?;
            if let Some(error) = refused {
                self.forget(key);
                return Err(self.failed(GpuError::Kernel { kernel: key.to_string(), reason: error.to_string() }));
            }
            batch.one_done();
        }
        Ok(())
    }

    fn compile_side_by_side(&self, keys: &[&KernelKey], batch: &Batch<'_>, threads: usize) -> Result<(), GpuError> {
        let (next, failure) = (AtomicUsize::new(0), Mutex::new(None));
        let work = || {
            while let Some(key) = keys.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(error) = self.kernel(key) {
                    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
                batch.one_done();
            }
        };
        thread::scope(|scope| {
            for _ in 1..threads.min(keys.len()) {
                // Where no thread is to be had, this one does it all.
                if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                    break;
                }
            }
            work();
        });
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
    /// How many kernels of how many are compiled, while there are some to come.
    pub fn state(&self) -> Option<(usize, usize)> {
        let (done, wanted) = (self.done.load(Ordering::Relaxed), self.wanted.load(Ordering::Relaxed));
        (wanted > 0).then_some((done.min(wanted), wanted))
    }
}

/// Kernels that are being compiled; whoever gives up in between, as on Cancel, takes back what was counted.
struct Batch<'a> {
    compiling: &'a Compiling,
    wanted: usize,
    done: AtomicUsize,
}

impl Batch<'_> {
    fn new(compiling: &Compiling, wanted: usize) -> Batch<'_> {
        compiling.wanted.fetch_add(wanted, Ordering::Relaxed);
        Batch { compiling, wanted, done: AtomicUsize::new(0) }
    }

    fn one_done(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
        self.compiling.done.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.compiling.done.fetch_sub(self.done.load(Ordering::Relaxed), Ordering::Relaxed);
        self.compiling.wanted.fetch_sub(self.wanted, Ordering::Relaxed);
    }
}
