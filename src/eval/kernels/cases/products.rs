//! Matrix products: every form and epilogue, every tile.

use half::f16;

use super::Case;
use crate::eval::kernels::twins;
use crate::gpu::MatrixUnits;
use crate::graph::{Caps, DType, GraphError, Var};
use crate::ops::{self, Form, GeluGradient, GeluSlope, MatMul, SubgroupSizes, TILES, Tile};

const TOLERANCE: f64 = 1e-5;
/// Roundings of results to 16 bits stay below 2^-11 each.
const HALF_TOLERANCE: f64 = 1e-3;
const FORMS: [Form; 3] = [Form::NN, Form::NT, Form::TN];

/// What follows a product and is fused into it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Follows {
    Nothing,
    Bias,
    BiasResidual,
    Residual,
    BiasGelu,
    BiasGeluSlope,
    GeluGradient,
    /// Beside it rather: what is transposed is summed over its rows.
    Sums,
}

const ALL: [Follows; 8] = [
    Follows::Nothing,
    Follows::Bias,
    Follows::BiasResidual,
    Follows::Residual,
    Follows::BiasGelu,
    Follows::BiasGeluSlope,
    Follows::GeluGradient,
    Follows::Sums,
];

pub(super) fn cases(caps: Caps) -> Result<Vec<Case>, GraphError> {
    let mut cases = Vec::new();
    if let Some(MatrixUnits { side, lanes, .. }) = caps.matrix_units {
        let mut case = Case::new(format!("matrices of {side} x {side}, subgroups of {lanes}"), 0.0);
        let sizes = case.graph.add1(SubgroupSizes { side }, &[])?;
        case.floats_are(sizes, &[lanes as f32; 128]);
        cases.push(case);
    }
    for tile in TILES.into_iter().filter(|tile| tile.runs_on(caps)) {
        // Epilogues are the same text in every tile of a shader, and compiling them all again takes long.
        let all = matches!(
            tile,
            Tile::Broadcast { rows: 32, .. }
                | Tile::Direct { rows: 8, .. }
                | Tile::Shared { m: 32, n: 32, .. }
                | Tile::Matrix { m: 64, n: 64, k: 32, .. }
        );
        let shared = matches!(tile, Tile::Shared { .. });
        for form in FORMS {
            let fits = |follows: &Follows| match follows {
                Follows::Nothing => true,
                Follows::Sums => all && form == Form::TN,
                _ => all,
            };
            for follows in ALL.into_iter().filter(fits) {
                // Rows of whole vectors in whole steps; in part of a step; others, which leave no one to broadcast to.
                if tile.wants_halves() {
                    cases.push(in_halves(form, tile, follows, 64)?);
                    if all {
                        cases.push(in_halves(form, tile, follows, 72)?);
                    }
                    continue;
                }
                cases.push(one(form, Some(tile), (36, 68, 32), follows)?);
                if shared && all {
                    cases.push(one(form, Some(tile), (36, 68, 20), follows)?);
                }
                if all && !matches!(tile, Tile::Broadcast { .. }) {
                    cases.push(one(form, Some(tile), (35, 67, 21), follows)?);
                }
            }
        }
    }
    for form in FORMS {
        cases.push(one(form, None, (7, 5, 2050), Follows::Nothing)?);
        cases.push(batched(form)?);
    }
    for extents in [(7, 5, 2050), (12, 8, 2064)] {
        cases.push(one(Form::TN, None, extents, Follows::Sums)?);
    }
    Ok(cases)
}

fn one(form: Form, tile: Option<Tile>, (m, n, k): (usize, usize, usize), follows: Follows) -> Result<Case, GraphError> {
    let [a_shape, b_shape] = twins::product_shapes(form, (m, n, k));
    let mut case = Case::new(format!("{a_shape:?} x {b_shape:?} {form:?}"), TOLERANCE);
    let ((a, a_exact), (b, b_exact)) = (case.noise(&a_shape, 1.0), case.noise(&b_shape, 1.0));
    let exact = twins::product(form, &a_exact, &b_exact, (m, n, k));
    beside(&mut case, a, &a_exact, m, follows)?;
    let product = case.graph.add1(MatMul::new(form, false).with_tile(tile), &[a, b])?;
    follow(&mut case, product, exact, n, follows)?;
    Ok(case)
}

/// On matrix units, with operands and results in 16 bits; more than one tile and ragged.
fn in_halves(form: Form, tile: Tile, follows: Follows, k: usize) -> Result<Case, GraphError> {
    let (m, n) = (132, 76);
    let [a_shape, b_shape] = twins::product_shapes(form, (m, n, k));
    let mut case = Case::new(format!("{a_shape:?} x {b_shape:?} {form:?} in 16 bits"), HALF_TOLERANCE);
    let mut operand = |shape: &[usize]| -> Result<(Var, Vec<f64>), GraphError> {
        // Numbers that are the same in both formats.
        let values: Vec<f32> =
            case.random.vec(shape.iter().product()).into_iter().map(|x| f16::from_f32(x).to_f32()).collect();
        let var = case.floats(shape, &values);
        Ok((ops::cast(&mut case.graph, var, DType::F16)?, twins::exact(&values)))
    };
    let ((a, a_exact), (b, b_exact)) = (operand(&a_shape)?, operand(&b_shape)?);
    let exact = twins::product(form, &a_exact, &b_exact, (m, n, k));
    beside(&mut case, a, &a_exact, m, follows)?;
    let product = case.graph.add1(MatMul::new(form, false).with_tile(Some(tile)), &[a, b])?;
    follow(&mut case, product, exact, n, follows)?;
    Ok(case)
}

/// Adds to `case` what is done beside a product of `a` of `m` columns, and what should come out.
fn beside(case: &mut Case, a: Var, a_exact: &[f64], m: usize, follows: Follows) -> Result<(), GraphError> {
    if follows == Follows::Sums {
        let sums = ops::column_sum(&mut case.graph, a, &[m])?;
        case.near(sums, twins::column_sum(a_exact, m, |_| true));
    }
    Ok(())
}

/// Adds to `case` what follows `product` of `n` columns, and what should come out.
fn follow(case: &mut Case, product: Var, exact: Vec<f64>, n: usize, follows: Follows) -> Result<(), GraphError> {
    let (bias, bias_exact) = case.noise(&[n], 1.0);
    let (other, other_exact) = case.noise(&[exact.len() / n, n], 1.0);
    let graph = &mut case.graph;
    let other = ops::cast(graph, other, graph.ty(product).dtype)?;
    let (result, want) = match follows {
        Follows::Nothing | Follows::Sums => (product, exact),
        Follows::Bias => (ops::add(graph, product, bias)?, twins::add(&exact, &bias_exact)),
        Follows::Residual => (ops::add(graph, product, other)?, twins::add(&exact, &other_exact)),
        Follows::BiasResidual => {
            let sum = ops::add(graph, product, bias)?;
            (ops::add(graph, sum, other)?, twins::add(&twins::add(&exact, &bias_exact), &other_exact))
        }
        Follows::BiasGelu | Follows::BiasGeluSlope => {
            let sum = ops::add(graph, product, bias)?;
            let activated = ops::gelu(graph, sum)?;
            let exact = twins::add(&exact, &bias_exact);
            let want = exact.iter().map(|x| twins::gelu(*x)).collect();
            if follows == Follows::BiasGeluSlope {
                let slope = graph.add1(GeluSlope, &[sum])?;
                let slope = ops::cast(graph, slope, DType::F32)?;
                case.near(slope, exact.iter().map(|x| twins::gelu_slope(*x)).collect());
            }
            (activated, want)
        }
        Follows::GeluGradient => {
            let want = other_exact.iter().zip(&exact).map(|(slope, dy)| slope * dy);
            (graph.add1(GeluGradient, &[other, product])?, want.collect())
        }
    };
    let result = ops::cast(&mut case.graph, result, DType::F32)?;
    case.near(result, want);
    Ok(())
}

fn batched(form: Form) -> Result<Case, GraphError> {
    let extents = (5, 9, 6);
    let [a_shape, b_shape] = twins::product_shapes(form, extents).map(|[rows, columns]| [3, rows, columns]);
    let mut case = Case::new(format!("{a_shape:?} x {b_shape:?} {form:?}, one by one"), TOLERANCE);
    let ((a, a_exact), (b, b_exact)) = (case.noise(&a_shape, 1.0), case.noise(&b_shape, 1.0));
    let y = ops::batched_matmul(&mut case.graph, form, a, b)?;
    let pairs = a_exact.chunks(a_exact.len() / 3).zip(b_exact.chunks(b_exact.len() / 3));
    case.near(y, pairs.flat_map(|(a, b)| twins::product(form, a, b, extents)).collect());
    Ok(case)
}
