//! Layer norm, picking and joining rows, the loss.

use super::Case;
use crate::eval::kernels::twins;
use crate::graph::GraphError;
use crate::ops::{self, LayerNorm, SliceRows};

const TOLERANCE: f64 = 2e-5;

pub(super) fn cases() -> Result<Vec<Case>, GraphError> {
    let mut cases = Vec::new();
    // Rows of odd widths, of those that are held, and of one that is not; so many that their sums take two launches, and
    // that a workgroup has several in turn.
    let held = [[7, 8], [300, 260], [3, 512], [5, 644], [9, 1000], [2, 1280], [6151, 12]];
    for shape in [[5, 13], [70, 130], [300, 6], [5, 1300]].into_iter().chain(held) {
        cases.extend([layer_norm(shape, false, true)?, layer_norm(shape, true, true)?]);
    }
    cases.extend([layer_norm([70, 260], false, false)?, layer_norm([70, 260], true, false)?]);
    for width in [7, 12] {
        cases.extend([gather(1, width)?, gather(3, width)?, put_back(false, width)?, put_back(true, width)?]);
        cases.extend([slice(width)?, pad(width)?, concat(1, width)?, concat(3, width)?]);
    }
    for shape in [[5, 13], [70, 130]] {
        cases.push(cosine_row(shape)?);
    }
    for shape in [[2, 5, 3], [3, 45, 70], [2, 7, 4], [3, 45, 260], [5, 9, 1028], [2, 1500, 8]] {
        cases.push(masked_mse(shape)?);
    }
    for shape in [[3, 7, 13], [2, 49, 260], [9, 1, 128]] {
        cases.push(mean_rows(shape)?);
    }
    for shape in [[5, 3], [70, 130]] {
        cases.push(cross_entropy(shape)?);
    }
    Ok(cases)
}

/// Forward and backward, with `residual` also around it: `x + layer_norm(x)`; where not of the `columns` too, the backward
/// pass is that of `x` alone.
fn layer_norm(shape: [usize; 2], residual: bool, columns: bool) -> Result<Case, GraphError> {
    let around = if residual { " and around" } else { "" };
    let alone = if columns { "" } else { " of x alone" };
    let mut case = Case::new(format!("{shape:?}{around}{alone}"), TOLERANCE);
    let width = [shape[1]];
    let ((x, x_exact), (dy, dy_exact)) = (case.noise(&shape, 2.0), case.noise(&shape, 1.0));
    let ((gamma, gamma_exact), (beta, beta_exact)) = (case.noise(&width, 1.0), case.noise(&width, 1.0));
    let outputs = case.graph.add(LayerNorm { eps: 1e-6 }, &[x, gamma, beta])?;
    let y = if residual { ops::add(&mut case.graph, x, outputs[0])? } else { outputs[0] };
    let grads = ops::gradients_from(&mut case.graph, &[(y, dy)], &[x, gamma, beta][..if columns { 3 } else { 1 }])?;

    let eps = f64::from(1e-6f32);
    let mut want = twins::layer_norm(&x_exact, &gamma_exact, &beta_exact, eps);
    let mut slopes = twins::layer_norm_gradient(&x_exact, &gamma_exact, &want.stats, &dy_exact);
    if residual {
        want.y = twins::add(&x_exact, &want.y);
        slopes[0] = twins::add(&slopes[0], &dy_exact);
    }
    case.near(y, want.y);
    case.near(outputs[1], want.stats);
    for (gradient, want) in grads.into_iter().zip(slopes) {
        if let Some(gradient) = gradient {
            case.near(gradient, want);
        }
    }
    Ok(case)
}

fn cosine_row(shape: [usize; 2]) -> Result<Case, GraphError> {
    let mut case = Case::new(format!("{shape:?}"), TOLERANCE);
    let (x, exact) = case.noise(&shape, 2.0);
    let query = case.words(&[1], &[3]);
    let cosines = ops::cosine_row(&mut case.graph, x, query)?;
    case.near(cosines, twins::cosine_row(&exact, shape[1], 3));
    Ok(case)
}

/// Orders of `n` rows for each of `b` batch elements, and their inverses.
fn orders(case: &mut Case, b: usize, n: usize) -> [Vec<u32>; 2] {
    let order: Vec<u32> = (0..b).flat_map(|_| case.random.permutation(n)).collect();
    let mut inverse = vec![0; b * n];
    for (at, row) in order.iter().enumerate() {
        inverse[at / n * n + *row as usize] = (at % n) as u32;
    }
    [order, inverse]
}

fn gather(x_batches: usize, d: usize) -> Result<Case, GraphError> {
    let (b, n, k) = (3, 11, 4);
    let mut case = Case::new(format!("[{x_batches}, {n}, {d}] by [{b}, {k}]"), 0.0);
    let [order, inverse] = orders(&mut case, b, n);
    let index: Vec<u32> = order.chunks(n).flat_map(|order| order[..k].to_vec()).collect();
    let (x, exact) = case.noise(&[x_batches, n, d], 1.0);
    let (picked, restore) = (case.words(&[b, k], &index), case.words(&[b, n], &inverse));
    let y = ops::gather_rows(&mut case.graph, x, picked, restore, None)?;
    case.floats_are(y, &narrow(&twins::gather_rows(&exact, [x_batches, n, d], &index, k, None)));
    Ok(case)
}

/// Picked rows put back, with a fill row or zeros where there was none.
fn put_back(filled: bool, d: usize) -> Result<Case, GraphError> {
    let (b, n, k) = (2, 13, 5);
    let rest = if filled { "filled" } else { "zeros" };
    let mut case = Case::new(format!("[{b}, {k}, {d}] by [{b}, {n}], else {rest}"), 0.0);
    let [order, inverse] = orders(&mut case, b, n);
    let keep: Vec<u32> = order.chunks(n).flat_map(|order| order[..k].to_vec()).collect();
    let ((x, x_exact), (fill, fill_exact)) = (case.noise(&[b, k, d], 1.0), case.noise(&[1, 1, d], 1.0));
    let (restore, keep) = (case.words(&[b, n], &inverse), case.words(&[b, k], &keep));
    let y = ops::gather_rows(&mut case.graph, x, restore, keep, filled.then_some(fill))?;
    let fill = filled.then_some(fill_exact.as_slice());
    case.floats_are(y, &narrow(&twins::gather_rows(&x_exact, [b, k, d], &inverse, n, fill)));
    Ok(case)
}

fn slice(width: usize) -> Result<Case, GraphError> {
    let mut case = Case::new(format!("[3, 9, {width}] to [3, 4, {width}]"), 0.0);
    let (x, exact) = case.noise(&[3, 9, width], 1.0);
    let y = ops::slice_rows(&mut case.graph, x, 2, 4)?;
    case.floats_are(y, &narrow(&twins::slice_rows(&exact, [9, width], 2, 4)));
    Ok(case)
}

fn pad(width: usize) -> Result<Case, GraphError> {
    let mut case = Case::new(format!("[3, 4, {width}] to [3, 9, {width}]"), 0.0);
    let (x, exact) = case.noise(&[3, 4, width], 1.0);
    let y = case.graph.add1(SliceRows { start: 2, count: 4, total: 9, pad: true }, &[x])?;
    case.floats_are(y, &narrow(&twins::pad_rows(&exact, [4, width], 2, 9)));
    Ok(case)
}

fn concat(a_batches: usize, width: usize) -> Result<Case, GraphError> {
    let mut case = Case::new(format!("[{a_batches}, 2, {width}] before [3, 5, {width}]"), 0.0);
    let ((a, a_exact), (b, b_exact)) = (case.noise(&[a_batches, 2, width], 1.0), case.noise(&[3, 5, width], 1.0));
    let y = ops::concat_rows(&mut case.graph, a, b)?;
    case.floats_are(y, &narrow(&twins::concat_rows(&a_exact, 2 * width, &b_exact, 5 * width)));
    Ok(case)
}

fn masked_mse(shape: [usize; 3]) -> Result<Case, GraphError> {
    let [b, l, _] = shape;
    let mut case = Case::new(format!("{shape:?}"), TOLERANCE);
    let ((pred, pred_exact), (target, target_exact)) = (case.noise(&shape, 1.0), case.noise(&shape, 1.0));
    let mask: Vec<f32> = (0..b * l).map(|i| if i % 4 < 3 { 1.0 } else { 0.0 }).collect();
    let hidden = case.floats(&[b, l], &mask);
    let dloss = case.floats(&[1], &[0.7]);
    let vars = ops::masked_mse(&mut case.graph, pred, target, hidden)?;
    let grads = ops::gradients_from(&mut case.graph, &[(vars.loss, dloss)], &[pred])?;
    let want = twins::masked_mse(&pred_exact, &target_exact, &twins::exact(&mask));
    case.near(vars.loss, vec![want.loss]);
    case.near(vars.per_row, want.per_row);
    for gradient in grads.into_iter().flatten() {
        case.near(gradient, want.slope.iter().map(|slope| slope * f64::from(0.7f32)).collect());
    }
    Ok(case)
}

fn mean_rows(shape: [usize; 3]) -> Result<Case, GraphError> {
    let [b, n, d] = shape;
    let mut case = Case::new(format!("{shape:?}"), TOLERANCE);
    let ((x, exact), (dy, dy_exact)) = (case.noise(&shape, 1.0), case.noise(&[b, d], 1.0));
    let y = ops::mean_rows(&mut case.graph, x)?;
    let grads = ops::gradients_from(&mut case.graph, &[(y, dy)], &[x])?;
    case.near(y, twins::mean_rows(&exact, [n, d]));
    for gradient in grads.into_iter().flatten() {
        let rows = dy_exact.chunks(d).flat_map(|dy| dy.repeat(n));
        case.near(gradient, rows.map(|dy| dy / n as f64).collect());
    }
    Ok(case)
}

fn cross_entropy(shape: [usize; 2]) -> Result<Case, GraphError> {
    let [b, c] = shape;
    let mut case = Case::new(format!("{shape:?}"), TOLERANCE);
    let (logits, exact) = case.noise(&shape, 5.0);
    let labels: Vec<u32> = (0..b).map(|row| (row * 7 % c) as u32).collect();
    let (classes, dloss) = (case.words(&[b], &labels), case.floats(&[1, 1], &[0.7]));
    let loss = ops::cross_entropy(&mut case.graph, logits, classes)?;
    let grads = ops::gradients_from(&mut case.graph, &[(loss, dloss)], &[logits])?;
    let (losses, slopes) = twins::cross_entropy(&exact, c, &labels);
    case.near(loss, twins::mean_rows(&losses, [b, 1]));
    for gradient in grads.into_iter().flatten() {
        case.near(gradient, slopes.iter().map(|slope| slope * f64::from(0.7f32) / b as f64).collect());
    }
    Ok(case)
}

/// Back to f32, of numbers that came from there.
fn narrow(x: &[f64]) -> Vec<f32> {
    x.iter().map(|x| *x as f32).collect()
}
