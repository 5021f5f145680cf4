//! Number by number, and sums over rows.

use super::Case;
use crate::eval::kernels::twins;
use crate::graph::{DType, GraphError};
use crate::ops::{self, Cast, ColumnSum, GeluGradient, GeluSlope};

const TOLERANCE: f64 = 1e-5;

pub(super) fn cases() -> Result<Vec<Case>, GraphError> {
    let mut cases = vec![gelu()?, fill()?, cast(35)?, cast(1028)?, cast(5000)?];
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
