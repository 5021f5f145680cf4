//! Training steps by turns with another trainer's.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::{Bench, Precision, Recipe, TrainError};
use crate::gpu::Gpu;
use crate::platform;

/// What is told of a step before the turns, so that both trainers can be seen to do the same.
#[derive(Clone, Debug, Serialize)]
pub struct TurnsReady {
    ready: bool,
    name: &'static str,
    version: &'static str,
    adapter: String,
    driver: String,
    api: String,
    precision: Precision,
    model: String,
    batch: usize,
    parameters: u64,
    kernels: BTreeMap<String, usize>,
}

/// Milliseconds and losses of the steps of a turn.
#[derive(Clone, Debug, Serialize)]
pub struct Turn {
    ms: Vec<f64>,
    losses: Vec<f64>,
}

/// A training step that goes on where its last turn ended.
pub struct Turns {
    bench: Bench,
    rate: f64,
    step: u64,
    ready: TurnsReady,
}

impl Turns {
    /// The step of `recipe` at a learning rate that stays.
    ///
    /// # Errors
    /// Those of [`Bench::new`].
    pub async fn new(gpu: Arc<Gpu>, recipe: &Recipe, rate: f64) -> Result<Turns, TrainError> {
        let adapter = gpu.summary();
        let bench = Bench::new(gpu, recipe).await?;
        let mut kernels = BTreeMap::new();
        for dispatch in bench.lists().into_iter().flat_map(|list| &list.dispatches) {
            *kernels.entry(dispatch.kernel.name.clone()).or_default() += 1;
        }
        let ready = TurnsReady {
            ready: true,
            name: "unmask",
            version: env!("CARGO_PKG_VERSION"),
            adapter: adapter.name,
            driver: adapter.driver,
            api: adapter.backend,
            precision: recipe.train.precision,
            model: recipe.name.clone(),
            batch: recipe.train.batch,
            parameters: bench.estimate().trained,
            kernels,
        };
        Ok(Turns { bench, rate, step: 0, ready })
    }

    /// The step itself.
    pub fn bench(&self) -> &Bench {
        &self.bench
    }

    /// What to tell before the first turn.
    pub fn ready(&self) -> &TurnsReady {
        &self.ready
    }

    /// Does `steps` more steps.
    ///
    /// # Errors
    /// [`TrainError::Setting`] where the loss no longer is a number, and those of the device.
    pub async fn turn(&mut self, steps: usize) -> Result<Turn, TrainError> {
        let mut turn = Turn { ms: Vec::with_capacity(steps), losses: Vec::with_capacity(steps) };
        for _ in 0..steps {
            self.step += 1;
            let start = platform::now_seconds();
            let loss = self.bench.step(self.rate, self.step).await?;
            turn.ms.push((platform::now_seconds() - start) * 1e3);
            if !loss.is_finite() {
                return Err(TrainError::Setting {
                    field: "rate",
                    value: self.rate.to_string(),
                    expected: format!("one at which losses stay numbers: that of step {} is {loss}", self.step),
                });
            }
            turn.losses.push(loss);
        }
        Ok(turn)
    }
}
