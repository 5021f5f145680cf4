//! Number by number, and sums over rows.

use super::Case;
use crate::eval::kernels::twins;
use crate::graph::{Caps, DType, GraphError};
use crate::ops::{self, Cast, ColumnSum, GeluGradient, GeluSlope};

const TOLERANCE: f64 = 1e-5;

pub(super) fn cases(caps: Caps) -> Result<Vec<Case>, GraphError> {
    let mut cases = vec![gelu()?, fill()?, cast(35)?, cast(1028)?, cast(5000)?];
    if caps.f16 {
        // Numbers one by one, and vectors.
        for times in [1, 4] {
            cases.extend([cast_beyond_halves(times)?, sum_beyond_halves(times)?]);
        }
    }
    // Few rows and many; the last has so many columns that none is shared.
    for (rows, columns) in [(130, 67), (300, 67), (3, 68), (130, 68), (1000, 132), (3, 131_076)] {
        cases.push(column_sum(rows, columns)?);
    }
    for (rows, columns) in [(45, 5), (45, 8), (200, 72)] {
        cases.push(masked_column_sum(rows, columns)?);
    }
    let shapes = [
        (vec![1027], vec![1027]),
        (vec![1028], vec![1028]),
        (vec![2, 7, 13], vec![13]),
        (vec![2, 7, 20], vec![20]),
        (vec![5, 3, 3], vec![1, 3, 3]),
        // Whole vectors in all, but not in what repeats.
        (vec![4, 6], vec![6]),
    ];
    for (a, b) in shapes {
        let mut case = Case::new(format!("{a:?} + {b:?}"), TOLERANCE);
        let ((x, x_exact), (y, y_exact)) = (case.noise(&a, 1.0), case.noise(&b, 1.0));
        let sum = ops::add(&mut case.graph, x, y)?;
        case.near(sum, twins::add(&x_exact, &y_exact));
        cases.push(case);
    }
    Ok(cases)
}

/// To the type that it has: the kernels for 16 bits are the same, but for the storage of one side.
fn cast(length: usize) -> Result<Case, GraphError> {
    let mut case = Case::new(format!("[{length}]"), TOLERANCE);
    let values = case.random.vec(length);
    let x = case.floats(&[length], &values);
    let y = case.graph.add1(Cast { to: DType::F32 }, &[x])?;
    case.floats_are(y, &values);
    Ok(case)
}

/// What 16 bits make of numbers around the largest of theirs, and of NaN.
const BEYOND_HALVES: [(f32, f32); 5] = [
    (1e6, f32::INFINITY),
    (-1e6, f32::NEG_INFINITY),
    (65519.0, 65504.0),
    (65520.0, f32::INFINITY),
    (f32::NAN, f32::NAN),
];

/// To 16 bits and back.
fn cast_beyond_halves(times: usize) -> Result<Case, GraphError> {
    let mut case = Case::new(format!("[{}] too large for 16 bits", 5 * times), 0.0);
    let [values, want] = [BEYOND_HALVES.map(|(value, _)| value), BEYOND_HALVES.map(|(_, want)| want)];
    let x = case.floats(&[5 * times], &values.repeat(times));
    let y = ops::cast(&mut case.graph, x, DType::F16)?;
    let y = ops::cast(&mut case.graph, y, DType::F32)?;
    case.floats_are(y, &want.repeat(times));
    Ok(case)
}

/// The same as sums of numbers in 16 bits with others, which a kernel stores in 16 bits.
fn sum_beyond_halves(times: usize) -> Result<Case, GraphError> {
    let mut case = Case::new(format!("[{0}] + [{0}], too large for 16 bits", 5 * times), 0.0);
    let [values, want] = [BEYOND_HALVES.map(|(value, _)| value), BEYOND_HALVES.map(|(_, want)| want)];
    let in_halves = 60_000.0;
    let x = case.floats(&[5 * times], &vec![in_halves; 5 * times]);
    let y = case.floats(&[5 * times], &values.map(|value| value - in_halves).repeat(times));
    let x = ops::cast(&mut case.graph, x, DType::F16)?;
    let sum = ops::add(&mut case.graph, x, y)?;
    let sum = ops::cast(&mut case.graph, sum, DType::F32)?;
    case.floats_are(sum, &want.repeat(times));
    Ok(case)
}

fn gelu() -> Result<Case, GraphError> {
    let mut case = Case::new("[1027]", TOLERANCE);
    let ((x, x_exact), (dy, dy_exact)) = (case.noise(&[1027], 5.0), case.noise(&[1027], 1.0));
    let y = ops::gelu(&mut case.graph, x)?;
    let slope = case.graph.add1(GeluSlope, &[x])?;
    let dx = case.graph.add1(GeluGradient, &[slope, dy])?;
    case.near(y, x_exact.iter().map(|x| twins::gelu(*x)).collect());
    case.near(slope, x_exact.iter().map(|x| twins::gelu_slope(*x)).collect());
    case.near(dx, x_exact.iter().zip(&dy_exact).map(|(x, dy)| twins::gelu_slope(*x) * dy).collect());
    Ok(case)
}

fn column_sum(rows: usize, columns: usize) -> Result<Case, GraphError> {
    let mut case = Case::new(format!("[{rows}, {columns}] to [{columns}]"), TOLERANCE);
    let (x, exact) = case.noise(&[rows, columns], 1.0);
    let y = ops::column_sum(&mut case.graph, x, &[columns])?;
    case.near(y, twins::column_sum(&exact, columns, |_| true));
    Ok(case)
}

fn masked_column_sum(rows: usize, columns: usize) -> Result<Case, GraphError> {
    let what = format!("[2, {rows}, {columns}] to [{columns}], rows of index 7 and more");
    let mut case = Case::new(what, TOLERANCE);
    let (x, exact) = case.noise(&[2, rows, columns], 1.0);
    let index: Vec<u32> = (0..2 * rows).map(|_| case.random.below(15) as u32).collect();
    let rows = case.words(&[2, rows], &index);
    let y = case.graph.add1(ColumnSum { shape: vec![columns], limit: Some(7) }, &[x, rows])?;
    case.near(y, twins::column_sum(&exact, columns, |row| index[row] >= 7));
    Ok(case)
}

fn fill() -> Result<Case, GraphError> {
    let mut case = Case::new("[3, 5, 19] of -0.3", 0.0);
    let y = ops::fill(&mut case.graph, &[3, 5, 19], -0.3)?;
    case.floats_are(y, &[-0.3; 3 * 5 * 19]);
    Ok(case)
}
