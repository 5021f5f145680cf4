//! What a step runs: the plan of a micro-batch, and the lists of the optimiser.

use crate::gpu::{BufferSlice, DispatchList, Gpu};
use crate::graph::{Caps, DType, GraphError, Layout, Plan, ShardLayout, Shards};
use crate::nn::ParamStore;
use crate::ops::{LossScaling, global_norm_partials, push_accumulate, push_average, push_global_norm};
use crate::train::estimate::TrainGraph;
use crate::train::{Estimate, Recipe, TrainError};

/// A plan with the buffers that feed it.
#[derive(Debug)]
pub(super) struct Running {
    pub plan: Plan,
    pub loss: BufferSlice,
    pub estimate: Estimate,
}

/// Plans `graph` with `inputs` in the order pixels, sizes, step.
pub(super) async fn run_plan(
    gpu: &Gpu,
    recipe: &Recipe,
    graph: &TrainGraph,
    store: &ParamStore,
    inputs: &[BufferSlice; 3],
    scaling: &LossScaling,
) -> Result<Running, TrainError> {
    let mut externals = store.externals();
    for (name, slice) in ["pixels", "sizes", "step"].into_iter().zip(inputs) {
        externals.insert(name, slice.clone());
    }
    externals.insert("loss gradient", scaling.state.part(0, 4));
    let roots = graph.roots();
    let layout = Layout::of(&graph.builder.graph, &roots, Caps::of(gpu))?;
    let plan = Plan::new(gpu, &graph.builder.graph, &layout, &roots, &externals).await?;
    let loss = plan.slice(roots[0]).cloned().ok_or_else(|| GraphError::Unbound("loss".to_owned()))?;
    Ok(Running { plan, loss, estimate: graph.estimate(recipe).with(&layout) })
}

/// Lists that start a sum of gradients, continue it, and update the weights.
pub(super) async fn optimiser_lists(
    gpu: &Gpu,
    recipe: &Recipe,
    store: &ParamStore,
    [schedule, norm]: [&BufferSlice; 2],
    scaling: &LossScaling,
) -> Result<(DispatchList, DispatchList, DispatchList), TrainError> {
    let mut shards = store.optimiser_shards();
    let (mut first, mut next, mut update) = (DispatchList::default(), DispatchList::default(), DispatchList::default());
    if recipe.train.accumulate > 1 {
        let lengths: Vec<(String, usize)> =
            store.shard_lengths().iter().enumerate().map(|(i, length)| (i.to_string(), *length)).collect();
        let sums: Shards =
            ShardLayout::new(lengths.iter().map(|(name, length)| (name.as_str(), *length)), gpu.max_binding())
                .map_err(|(name, _)| GraphError::Unbound(name))?
                .allocate(gpu, "gradient sums", DType::F32)
                .await?;
        for (shard, sum) in shards.iter_mut().zip(&sums.buffers) {
            push_accumulate(gpu, &mut first, &shard.gradients, sum, true)?;
            push_accumulate(gpu, &mut next, &shard.gradients, sum, false)?;
            shard.gradients = sum.clone();
        }
    }
    let partials = gpu.buffer("partial norms", global_norm_partials(store.shard_lengths()) as u64 * 4).await?;
    let gradients: Vec<BufferSlice> = shards.iter().map(|shard| shard.gradients.clone()).collect();
    let scaling = recipe.is_mixed().then_some(scaling);
    push_global_norm(gpu, &mut update, &gradients, &partials, norm, recipe.train.clip_grad, scaling)?;
    for shard in &shards {
        recipe.optimiser().push(gpu, &mut update, shard, schedule, norm)?;
    }
    for [weights, average] in store.average_shards() {
        push_average(gpu, &mut update, &weights, &average, schedule)?;
    }
    Ok((first, next, update))
}
