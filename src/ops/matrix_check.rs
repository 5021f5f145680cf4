//! Whether matrix units compute rightly, found out by trying each of their kernels.

use super::{Form, MatMul, TILES, Tile, cast};
use crate::gpu::{BufferSlice, Gpu, Uploads};
use crate::graph::{Caps, DType, Externals, Graph, GraphError, Layout, Plan, TensorType, Var};

/// Extents of the trial: whole in no tile, and more than one step deep.
const M: usize = 148;
const N: usize = 212;
const K: usize = 72;

/// Largest difference, of the largest number of a result: results in 16 bits are rounded by up to 2^-11.
const TOLERANCE: f32 = 2e-3;

/// Compares matrix units with the plain kernel, once a device; where one disagrees the log says so and none are used.
///
/// # Errors
/// Those of the device.
pub async fn check_matrix_units(gpu: &Gpu) -> Result<(), GraphError> {
    let Some(units) = gpu.matrix_units().filter(|_| gpu.matrix_trust().is_none()) else { return Ok(()) };
    let caps = Caps { matrix_units: Some(units), ..Caps::of(gpu) };
    let disagreeing = try_all(gpu, caps).await?;
    if let Some((tile, form)) = disagreeing.first() {
        log::warn!(
            "{}: products on matrix units differ from plain ones ({} of them, the first in form {form:?} with tile \
             {tile}), so matrix units are not used",
            gpu.summary().name,
            disagreeing.len(),
        );
    }
    gpu.trust_matrix_units(disagreeing.is_empty());
    Ok(())
}

/// Tiles and forms that give something else than the plain kernel.
async fn try_all(gpu: &Gpu, caps: Caps) -> Result<Vec<(Tile, Form)>, GraphError> {
    let mut graph = Graph::new();
    let mut numbers = Vec::new();
    let mut operand = |graph: &mut Graph, rows: usize, columns: usize| -> Result<Var, GraphError> {
        let name = format!("operand {}", numbers.len());
        let x = graph.external(name.clone(), TensorType::f32(&[rows, columns]));
        numbers.push((name, spread(rows * columns, numbers.len())));
        cast(graph, x, DType::F16)
    };
    let tiles: Vec<Tile> = TILES.into_iter().filter(|tile| tile.wants_halves() && tile.runs_on(caps)).collect();
    let mut trials: Vec<(Tile, Form, Var, Var)> = Vec::new();
    for form in [Form::NN, Form::NT, Form::TN] {
        let a = if form == Form::TN { operand(&mut graph, K, M)? } else { operand(&mut graph, M, K)? };
        let b = if form == Form::NT { operand(&mut graph, N, K)? } else { operand(&mut graph, K, N)? };
        let plain = graph.add1(MatMul::new(form, false).with_tile(Some(Tile::USUAL)), &[a, b])?;
        let plain = cast(&mut graph, plain, DType::F32)?;
        for tile in &tiles {
            let product = graph.add1(MatMul::new(form, false).with_tile(Some(*tile)), &[a, b])?;
            trials.push((*tile, form, cast(&mut graph, product, DType::F32)?, plain));
        }
    }
    let roots: Vec<Var> = trials.iter().flat_map(|(_, _, product, plain)| [*product, *plain]).collect();
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
    Ok(disagreeing.map(|((tile, form, ..), _)| (*tile, *form)).collect())
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
