//! Whether matrix units compute rightly, found out by trying each of their kernels.

use super::{Attention, AttentionGradient, Form, MatMul, TILES, Tile, Variant, cast};
use crate::gpu::{BufferSlice, Gpu, Uploads};
use crate::graph::{Caps, DType, Externals, Graph, GraphError, Layout, Plan, TensorType, Var};

/// Extents of the trial: whole in no tile, and more than one step deep.
const M: usize = 148;
const N: usize = 212;
const K: usize = 72;

/// Tokens and heads of the trial of attention, and sizes of heads: full in no workgroup, and several tiles.
const TOKENS: usize = 37;
const HEADS: usize = 2;
const HEAD_SIZES: [usize; 2] = [32, 64];

/// Largest difference, of the largest number of a result: results in 16 bits are rounded by up to 2^-11.
const TOLERANCE: f32 = 4e-3;

/// Compares matrix units with the plain kernel, once a device; where one disagrees the log says so and none are used.
///
/// # Errors
/// Those of the device.
pub async fn check_matrix_units(gpu: &Gpu) -> Result<(), GraphError> {
    let Some(units) = gpu.matrix_units().filter(|_| gpu.matrix_trust().is_none()) else { return Ok(()) };
    let caps = Caps { matrix_units: Some(units), ..Caps::of(gpu) };
    let disagreeing = try_all(gpu, caps).await?;
    if let Some(first) = disagreeing.first() {
        log::warn!(
            "{}: results of matrix units differ from those of plain kernels ({} of them, the first {first}), so matrix \
             units are not used",
            gpu.summary().name,
            disagreeing.len(),
        );
    }
    gpu.trust_matrix_units(disagreeing.is_empty());
    Ok(())
}

/// A tensor from matrix units, the same from plain kernels, and what it is.
struct Trial {
    what: String,
    got: Var,
    want: Var,
}

/// What comes out otherwise than from the plain kernels.
async fn try_all(gpu: &Gpu, caps: Caps) -> Result<Vec<String>, GraphError> {
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
    for form in [Form::NN, Form::NT, Form::TN] {
        let a = operand(&mut graph, if form == Form::TN { &[K, M] } else { &[M, K] })?;
        let b = operand(&mut graph, if form == Form::NT { &[N, K] } else { &[K, N] })?;
        let plain = graph.add1(MatMul::new(form, false).with_tile(Some(Tile::USUAL)), &[a, b])?;
        for tile in &tiles {
            let product = graph.add1(MatMul::new(form, false).with_tile(Some(*tile)), &[a, b])?;
            trials.push(compare(&mut graph, format!("a product in form {form:?} with tile {tile}"), product, plain)?);
        }
    }
    for head_size in HEAD_SIZES {
        let qkv = operand(&mut graph, &[1, TOKENS, 3 * HEADS * head_size])?;
        let dout = operand(&mut graph, &[1, TOKENS, HEADS * head_size])?;
        let both = |variant| (Attention { heads: HEADS, variant }, AttentionGradient { heads: HEADS, variant });
        let (forward, backward) = both(Some(Variant::Shared));
        let plain = graph.add(forward, &[qkv])?;
        let plain_gradient = graph.add1(backward, &[qkv, plain[0], plain[1], dout])?;
        let (forward, backward) = both(Some(Variant::Matrix));
        let result = graph.add(forward, &[qkv])?;
        let gradient = graph.add1(backward, &[qkv, plain[0], plain[1], dout])?;
        let what = format!("attention in heads of {head_size}");
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
    Ok(disagreeing.map(|(trial, _)| trial.what.clone()).collect())
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
