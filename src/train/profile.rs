//! Where time and memory go in a reconstruction.

use std::collections::BTreeMap;

use super::TrainError;
use crate::gpu::{Gpu, Timestamps};
use crate::graph::Plan;
use crate::nn::ParamSpec;
use crate::platform;

/// Runs of which the fastest counts.
const RUNS: usize = 3;
/// Most times that a launch is repeated for a clock that is coarser than it.
const MOST_REPEATS: f64 = 64.0;

/// Time of one kind of op.
#[derive(Clone, Debug, PartialEq)]
pub struct OpCost {
    /// The op.
    pub op: &'static str,
    /// Launches of it.
    pub launches: usize,
    /// Milliseconds on the device, all launches together.
    pub milliseconds: f64,
}

/// Memory of one tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorBytes {
    /// Its name in checkpoints.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its bytes.
    pub bytes: u64,
}

/// Costs of a reconstruction of one picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// Time by op, most first; none where the adapter has no timestamps.
    pub ops: Option<Vec<OpCost>>,
    /// Parameters, largest first.
    pub parameters: Vec<TensorBytes>,
    /// Bytes of activations, which share buffers by lifetime.
    pub activations: u64,
    /// How many buffers they share.
    pub slots: usize,
}

impl Profile {
    /// Measures `plan`; parameters as `specs` say.
    pub(super) async fn of(gpu: &Gpu, plan: Option<&Plan>, specs: &[ParamSpec]) -> Result<Profile, TrainError> {
        let mut parameters: Vec<TensorBytes> = specs
            .iter()
            .map(|spec| {
                let bytes = spec.len() as u64 * 4;
                TensorBytes { name: spec.name.clone(), shape: spec.shape.clone(), bytes }
            })
            .collect();
        parameters.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
        let Some(plan) = plan else { return Ok(Profile { parameters, ..Profile::default() }) };
        let mut ops: Option<Vec<OpCost>> = None;
        let mut times = 1;
        if let Some(readings) = Timestamps::measure(gpu, plan.list()).await? {
            let mean = readings.iter().map(|reading| reading.milliseconds).sum::<f64>() / readings.len().max(1) as f64;
            times = (platform::LEAST_TIMED / mean.max(1e-6)).ceil().clamp(1.0, MOST_REPEATS) as u32;
        }
        for _ in 0..RUNS {
            let Some(readings) = Timestamps::measure_repeated(gpu, plan.list(), times).await? else { break };
            let mut sums: BTreeMap<&'static str, OpCost> = BTreeMap::new();
            for reading in readings {
                let cost = OpCost { op: reading.op, launches: 0, milliseconds: 0.0 };
                let sum = sums.entry(reading.op).or_insert(cost);
                sum.launches += 1;
                sum.milliseconds += reading.milliseconds;
            }
            let total = |costs: &[OpCost]| costs.iter().map(|cost| cost.milliseconds).sum::<f64>();
            let costs: Vec<OpCost> = sums.into_values().collect();
            if ops.as_ref().is_none_or(|best| total(&costs) < total(best)) {
                ops = Some(costs);
            }
        }
        if let Some(ops) = &mut ops {
            ops.sort_by(|a, b| b.milliseconds.total_cmp(&a.milliseconds));
        }
        let activations = plan.slots().iter().map(|slot| slot.bytes).sum();
        Ok(Profile { ops, parameters, activations, slots: plan.slots().len() })
    }
}
