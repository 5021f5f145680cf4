//! Where time and memory go in a reconstruction.

use std::collections::BTreeMap;
use std::ops::Range;

use super::TrainError;
use crate::gpu::{DispatchList, Gpu, Timestamps};
use crate::graph::Plan;
use crate::nn::{ParamSpec, groups};
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
        let ops = op_costs(gpu, plan.list()).await?;
        let activations = plan.slots().iter().map(|slot| slot.bytes).sum();
        Ok(Profile { ops, parameters, activations, slots: plan.slots().len() })
    }
}

/// What each op of `list` takes, most first; `None` where the adapter has no timestamps.
async fn op_costs(gpu: &Gpu, list: &DispatchList) -> Result<Option<Vec<OpCost>>, TrainError> {
    let Some(first) = Timestamps::measure(gpu, list).await? else { return Ok(None) };
    let milliseconds: Vec<f64> = first.iter().map(|reading| reading.milliseconds).collect();
    let times = repeats(&milliseconds);
    let mut best: Option<Vec<OpCost>> = None;
    for _ in 0..RUNS {
        let mut sums: BTreeMap<&'static str, OpCost> = BTreeMap::new();
        for part in parts(&milliseconds, times) {
            let part = DispatchList::from(list.dispatches[part].to_vec());
            for reading in Timestamps::measure_repeated(gpu, &part, times).await?.unwrap_or_default() {
                let cost = OpCost { op: reading.op, launches: 0, milliseconds: 0.0 };
                let sum = sums.entry(reading.op).or_insert(cost);
                sum.launches += 1;
                sum.milliseconds += reading.milliseconds;
            }
        }
        let total = |costs: &[OpCost]| costs.iter().map(|cost| cost.milliseconds).sum::<f64>();
        let costs: Vec<OpCost> = sums.into_values().collect();
        if best.as_ref().is_none_or(|best| total(&costs) < total(best)) {
            best = Some(costs);
        }
    }
    if let Some(costs) = &mut best {
        costs.sort_by(|a, b| b.milliseconds.total_cmp(&a.milliseconds));
    }
    Ok(best)
}

/// How often launches that take `milliseconds` are repeated so that the clock tells what they take.
fn repeats(milliseconds: &[f64]) -> u32 {
    let mean = milliseconds.iter().sum::<f64>() / milliseconds.len().max(1) as f64;
    (platform::LEAST_TIMED / mean.max(1e-6)).ceil().clamp(1.0, MOST_REPEATS) as u32
}

/// Which of them are repeated at one time.
fn parts(milliseconds: &[f64], times: u32) -> Vec<Range<usize>> {
    let nanoseconds = |milliseconds: f64| (milliseconds * 1e6) as u64;
    let sizes: Vec<u64> = milliseconds.iter().map(|once| nanoseconds(once * f64::from(times))).collect();
    groups(&sizes, nanoseconds(Timestamps::MOST_AT_ONCE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_repeated_at_one_time_is_bounded() {
        // A power of two, so that sums are exact.
        let once = 1.0 / 128.0;
        let short = [once; 1000];
        let times = repeats(&short);
        assert_eq!(f64::from(times), (platform::LEAST_TIMED / once).ceil().min(MOST_REPEATS));
        let pieces = parts(&short, times);
        assert!(pieces.iter().all(|part| part.len() as f64 * once * f64::from(times) <= Timestamps::MOST_AT_ONCE));
        assert_eq!(pieces.iter().map(ExactSizeIterator::len).sum::<usize>(), 1000);
        assert_eq!(parts(&[1.0, 30.0, 1.0, 1.0], 4), [0..1, 1..2, 2..4], "one is not divided");
    }
}
