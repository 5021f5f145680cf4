//! Whether matrix units compute rightly, found out by trying their kernels: every tile in every form, whole and ragged,
//! what is fused into products in one tile, and attention in some cuts.

use super::{
    Attention, AttentionGradient, Form, GeluGradient, GeluSlope, MatMul, SubgroupSizes, TILES, Tile, Variant, add,
    cast, column_sum, gelu,
};
use crate::gpu::{BufferSlice, Gpu, MatrixUnits, Uploads};
use crate::graph::{Caps, DType, Externals, Graph, GraphError, Layout, Plan, TensorType, Var};
use crate::platform;

/// Extents of the trial: whole in no tile, more than one step deep, and whole steps or not.
const M: usize = 148;
const N: usize = 212;
const DEPTHS: [usize; 2] = [64, 72];

/// Heads of the trial of attention; tokens and sizes of heads: full in no workgroup, one workgroup and several.
const HEADS: usize = 2;
const SHAPES: [(usize, usize); 3] = [(37, 64), (65, 80), (197, 32)];

/// Largest difference, of the largest number of a result: results in 16 bits are rounded by up to 2^-11.
const TOLERANCE: f32 = 4e-3;

/// Compares matrix units with the plain kernel, once a device; where one disagrees the log says so and none are used.
///
/// # Errors
/// Those of the device.
pub async fn check_matrix_units(gpu: &Gpu) -> Result<(), GraphError> {
    if gpu.matrix_candidates().is_empty() || gpu.tried_matrix_units() {
        return Ok(());
    }
    settle(gpu, tried(gpu).await)
}

/// Trusts the units that computed rightly, if any did.
///
/// # Errors
/// The loss of the device; a kernel that cannot even be made is no reason to do without all others.
fn settle(gpu: &Gpu, tried: Result<Option<MatrixUnits>, GraphError>) -> Result<(), GraphError> {
    let trusted = match tried {
        Ok(trusted) => trusted,
        Err(error) if gpu.lost().is_some() => return Err(error),
        Err(error) => {
            log::warn!("{}: matrix units are not used, as they cannot be tried: {error}", gpu.name());
            None
        }
    };
    gpu.trust_matrix_units(trusted);
    Ok(())
}

/// The units among the candidates whose results are those of plain kernels; none, and a word in the log, where they are not.
async fn tried(gpu: &Gpu) -> Result<Option<MatrixUnits>, GraphError> {
    let (start, adapter) = (platform::now_seconds(), gpu.name());
    let units = match gpu.matrix_candidates() {
        [units] => *units,
        candidates => {
            let found = subgroup_size(gpu, candidates[0].side).await?;
            let Some(units) = candidates.iter().find(|units| found == Some(units.lanes)) else {
                log::warn!("{adapter}: matrix units are not used, as their subgroups are of no size that kernels know");
                return Ok(None);
            };
            *units
        }
    };
    let caps = Caps { matrix_units: Some(units), ..Caps::of(gpu) };
    let (trials, disagreeing) = try_all(gpu, caps).await?;
    let seconds = platform::now_seconds() - start;
    log::info!("{trials} results of matrix units in subgroups of {} tried in {seconds:.2} s", units.lanes);
    if let Some(first) = disagreeing.first() {
        log::warn!(
            "{adapter}: results of matrix units differ from those of plain kernels ({} of them, the first {first}), so \
             matrix units are not used",
            disagreeing.len(),
        );
    }
    Ok(disagreeing.is_empty().then_some(units))
}

/// The size of the subgroups that a kernel on matrix units of `side` gets, if it is one and the same.
async fn subgroup_size(gpu: &Gpu, side: u32) -> Result<Option<u32>, GraphError> {
    let mut graph = Graph::new();
    let sizes = graph.add1(SubgroupSizes { side }, &[])?;
    let layout = Layout::of(&graph, &[sizes], Caps::of(gpu))?;
    let plan = Plan::new(gpu, &graph, &layout, &[sizes], &Externals::new()).await?;
    plan.run(gpu);
    let slice = plan.slice(sizes).cloned().ok_or_else(|| GraphError::Unbound("sizes of subgroups".to_owned()))?;
    let read = gpu.read("sizes of subgroups", &[slice]).await?;
    Ok(common(&read.iter().flat_map(|bytes| bytemuck::pod_collect_to_vec(bytes)).collect::<Vec<f32>>()))
}

/// The size that all tell.
fn common(sizes: &[f32]) -> Option<u32> {
    let first = sizes.first().copied()?;
    (first > 0.0 && sizes.iter().all(|size| *size == first)).then_some(first as u32)
}

/// A tensor from matrix units, the same from plain kernels, and what it is.
struct Trial {
    what: String,
    got: Var,
    want: Var,
}

/// How many results were tried, and which come out otherwise than from the plain kernels.
async fn try_all(gpu: &Gpu, caps: Caps) -> Result<(usize, Vec<String>), GraphError> {
    let mut graph = Graph::new();
    let mut numbers = Vec::new();
    let mut operand = |graph: &mut Graph, shape: &[usize]| -> Result<Var, GraphError> {
        let name = format!("operand {}", numbers.len());
        let x = graph.external(name.clone(), TensorType::f32(shape));
        numbers.push((name, spread(shape.iter().product(), numbers.len())));
        cast(graph, x, DType::F16)
    };
    let compare = |graph: &mut Graph, what: String, got: Var, want: Var| -> Result<Trial, GraphError> {
        Ok(Trial { what, got: cast(graph, got, DType::F32)?, want: cast(graph, want, DType::F32)? })
    };
    let tiles: Vec<Tile> = TILES.into_iter().filter(|tile| tile.wants_halves() && tile.runs_on(caps)).collect();
    let mut trials: Vec<Trial> = Vec::new();
    for (form, k) in [Form::NN, Form::NT, Form::TN].into_iter().flat_map(|form| DEPTHS.map(|k| (form, k))) {
        let a = operand(&mut graph, &if form == Form::TN { [k, M] } else { [M, k] })?;
        let b = operand(&mut graph, &if form == Form::NT { [N, k] } else { [k, N] })?;
        let plain = graph.add1(MatMul::new(form, false).with_tile(Some(Tile::USUAL)), &[a, b])?;
        for tile in &tiles {
            let product = graph.add1(MatMul::new(form, false).with_tile(Some(*tile)), &[a, b])?;
            let what = format!("a product in form {form:?} over {k} with tile {tile}");
            trials.push(compare(&mut graph, what, product, plain)?);
        }
    }
    if let Some(tile) = tiles.first() {
        let k = DEPTHS[0];
        let (x, weight, dy) =
            (operand(&mut graph, &[M, k])?, operand(&mut graph, &[N, k])?, operand(&mut graph, &[M, N])?);
        let (other, bias) = (operand(&mut graph, &[M, N])?, operand(&mut graph, &[N])?);
        let (slope, bias) = (operand(&mut graph, &[M, k])?, cast(&mut graph, bias, DType::F32)?);
        let mut fused = |tile: Tile| fused_products(&mut graph, tile, [x, weight, bias, other, dy, slope]);
        let (got, want) = (fused(*tile)?, fused(Tile::USUAL)?);
        for ((what, got), (_, want)) in got.into_iter().zip(want) {
            trials.push(compare(&mut graph, format!("{what} with tile {tile}"), got, want)?);
        }
    }
    for (tokens, head_size) in SHAPES {
        let qkv = operand(&mut graph, &[1, tokens, 3 * HEADS * head_size])?;
        let dout = operand(&mut graph, &[1, tokens, HEADS * head_size])?;
        let both = |variant| (Attention { heads: HEADS, variant }, AttentionGradient { heads: HEADS, variant });
        let (forward, backward) = both(Some(Variant::Shared));
        let plain = graph.add(forward, &[qkv])?;
        let plain_gradient = graph.add1(backward, &[qkv, plain[0], plain[1], dout])?;
        let (forward, backward) = both(Some(Variant::Matrix));
        let result = graph.add(forward, &[qkv])?;
        let gradient = graph.add1(backward, &[qkv, plain[0], plain[1], dout])?;
        let what = format!("attention over {tokens} tokens in heads of {head_size}");
        trials.push(compare(&mut graph, what.clone(), result[0], plain[0])?);
        trials.push(Trial { what: format!("{what}, its normalisers"), got: result[1], want: plain[1] });
        trials.push(compare(&mut graph, format!("the gradient of {what}"), gradient, plain_gradient)?);
    }
    let roots: Vec<Var> = trials.iter().flat_map(|trial| [trial.got, trial.want]).collect();
    let layout = Layout::of(&graph, &roots, caps)?;
    let mut externals = Externals::new();
    externals.allocate(gpu, &graph).await?;
    let plan = Plan::new(gpu, &graph, &layout, &roots, &externals).await?;
    for (name, numbers) in &numbers {
        let slice = externals.get(name).ok_or_else(|| GraphError::Unbound(name.clone()))?;
        gpu.upload(slice, numbers);
    }
    plan.run(gpu);
    let slices: Vec<BufferSlice> = roots.iter().filter_map(|root| plan.slice(*root).cloned()).collect();
    let read = gpu.read("products on matrix units", &slices).await?;
    let results: Vec<Vec<f32>> = read.iter().map(|bytes| bytemuck::pod_collect_to_vec(bytes)).collect();
    let disagreeing = trials.iter().zip(results.chunks_exact(2)).filter(|(_, pair)| !agree(&pair[0], &pair[1]));
    Ok((trials.len(), disagreeing.map(|(trial, _)| trial.what.clone()).collect()))
}

/// What a linear layer and its gradients fuse into products, done with `tile`: of `x [m, k]`, `weight [n, k]`, `bias [n]`,
/// `other [m, n]`, the layer's gradient `dy [m, n]` and GELU's `slope [m, k]`.
fn fused_products(
    graph: &mut Graph,
    tile: Tile,
    [x, weight, bias, other, dy, slope]: [Var; 6],
) -> Result<Vec<(&'static str, Var)>, GraphError> {
    let product = |graph: &mut Graph, form: Form, a: Var, b: Var| {
        graph.add1(MatMul::new(form, false).with_tile(Some(tile)), &[a, b])
    };
    let layer = product(graph, Form::NT, x, weight)?;
    let layer = add(graph, layer, bias)?;
    let layer = add(graph, other, layer)?;
    let hidden = product(graph, Form::NT, x, weight)?;
    let hidden = add(graph, hidden, bias)?;
    let active = gelu(graph, hidden)?;
    let slopes = graph.add1(GeluSlope, &[hidden])?;
    let dx = product(graph, Form::NN, dy, weight)?;
    let dx = graph.add1(GeluGradient, &[slope, dx])?;
    let sums = column_sum(graph, dy, &[N])?;
    let dw = product(graph, Form::TN, dy, x)?;
    Ok(vec![
        ("a layer and what it is added to", layer),
        ("the slope of a layer's GELU", slopes),
        ("a layer with GELU", active),
        ("a gradient through GELU", dx),
        ("the gradient of a bias", sums),
        ("that of a weight beside it", dw),
    ])
}

/// Numbers in [-1, 1) without a pattern.
fn spread(count: usize, seed: usize) -> Vec<f32> {
    let mixed = |i: usize| (i as u32 ^ (seed as u32) << 24).wrapping_mul(0x9e37_79b9);
    (0..count).map(|i| (mixed(i) ^ (mixed(i) >> 15)).wrapping_mul(0x85eb_ca6b) as f32 / 2_147_483_648.0 - 1.0).collect()
}

fn agree(got: &[f32], want: &[f32]) -> bool {
    let largest = want.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    // A comparison with what is no number is false.
    got.len() == want.len() && got.iter().zip(want).all(|(got, want)| (got - want).abs() <= TOLERANCE * largest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::{GpuError, GpuOptions};

    #[test]
    fn units_that_cannot_be_tried_are_done_without_unless_the_device_is_gone() {
        let broken = || {
            let (kernel, reason) = ("subgroup_cooperative".to_owned(), "no such kernel here".to_owned());
            Err(GraphError::Gpu(GpuError::Kernel { kernel, reason }))
        };
        let gpu = pollster::block_on(Gpu::open(&GpuOptions::default())).expect("an adapter");
        settle(&gpu, broken()).expect("done without");
        assert!(gpu.tried_matrix_units() && gpu.trusted_matrix_units().is_none());
        gpu.lose();
        assert!(settle(&gpu, broken()).is_err());
    }

    #[test]
    fn subgroups_have_one_size_or_none() {
        assert_eq!(common(&[64.0; 128]), Some(64));
        assert_eq!(common(&[0.0; 128]), None);
        assert_eq!(common(&[32.0, 32.0, 64.0]), None);
        assert_eq!(common(&[]), None);
    }

    #[test]
    fn what_is_wrong_does_not_agree() {
        let numbers = spread(1000, 3);
        assert!(agree(&numbers, &numbers));
        assert!(numbers.iter().any(|x| *x < -0.9) && numbers.iter().any(|x| *x > 0.9));
        let mut wrong = numbers.clone();
        wrong[77] += 0.01;
        assert!(!agree(&wrong, &numbers));
        wrong[77] = f32::NAN;
        assert!(!agree(&wrong, &numbers));
        assert!(!agree(&numbers[1..], &numbers));
    }
}
