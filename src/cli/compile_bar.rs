//! A bar while kernels are compiled: the first time on a machine, a driver may take longer for it than for anything else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::args::Common;
use super::progress::bar;
use crate::gpu::Compiling;

/// How often it looks; what takes less is not shown.
const EVERY: Duration = Duration::from_millis(200);

/// Draws the bar, on a thread of its own, until it is dropped.
pub struct CompileBar {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl CompileBar {
    /// Watches `compiling`.
    pub fn watch(common: &Common, compiling: Arc<Compiling>) -> CompileBar {
        let over = Arc::new(AtomicBool::new(false));
        if common.quiet || common.json {
            return CompileBar { over, thread: None };
        }
        let (common, end) = (common.clone(), over.clone());
        let draw = move || {
            let mut drawn = None;
            while !end.load(Ordering::Acquire) {
                thread::park_timeout(EVERY);
                match (compiling.state(), &drawn) {
                    (Some((done, wanted)), None) => {
                        let bar = bar(&common, wanted as u64, done as u64);
                        bar.set_message("kernels compiled");
                        drawn = Some(bar);
                    }
                    // Both at once: when a smaller batch follows, drawn in between, it would show more than there are.
                    (Some((done, wanted)), Some(bar)) => bar.update(|state| {
                        state.set_len(wanted as u64);
                        state.set_pos(done as u64);
                    }),
                    (None, Some(bar)) => {
                        bar.finish_and_clear();
                        drawn = None;
                    }
                    (None, None) => {}
                }
            }
            if let Some(bar) = drawn {
                bar.finish_and_clear();
            }
        };
        // Without a thread it goes without a bar.
        CompileBar { over, thread: thread::Builder::new().name("compile bar".to_owned()).spawn(draw).ok() }
    }
}

impl Drop for CompileBar {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It draws and does nothing else: how it ended changes nothing.
            let _ = thread.join();
        }
    }
}
