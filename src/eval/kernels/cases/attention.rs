//! Attention and softmax, forward and backward.

use half::f16;

use super::Case;
use crate::eval::kernels::twins::attention::{Shape, backward, forward, row, softmax, softmax_gradient};
use crate::eval::kernels::twins::exact;
use crate::graph::{Caps, DType, GraphError, Var};
use crate::ops::{self, Attention, Softmax, SoftmaxGradient, Variant};

const TOLERANCE: f64 = 2e-5;
/// Probabilities and results are rounded to 16 bits, by up to 2^-11 each.
const HALF_TOLERANCE: f64 = 2e-3;

pub(super) fn cases(caps: Caps) -> Result<Vec<Case>, GraphError> {
    let mut cases = Vec::new();
    if caps.f16 {
        // Heads that are whole matrices, those that are not; one tile, several, and workgroups that are not full.
        for shape in [(2, 17, 2, 32), (1, 50, 2, 64), (2, 70, 2, 32), (1, 133, 2, 80), (1, 33, 2, 20)] {
            cases.push(in_halves(Shape::of(shape))?);
        }
    }
    for variant in [Variant::Shared, Variant::Lean, Variant::Direct, Variant::Broadcast] {
        // Head sizes of the presets and odd ones, tokens that fill no tile.
        for shape in [
            (2, 5, 3, 12),
            (2, 37, 2, 32),
            (1, 197, 1, 32),
            (1, 50, 2, 64),
            (1, 70, 2, 64),
            (1, 33, 1, 80),
            (1, 65, 1, 80),
            (1, 67, 1, 128),
        ] {
            cases.push(attention(Shape::of(shape), variant)?);
        }
        for shape in [[7, 5], [3, 131]] {
            cases.push(softmaxes(shape, variant)?);
        }
        cases.push(softmax_of_the_lowest(variant)?);
    }
    for shape in [(1, 5, 3, 12), (1, 70, 2, 64)] {
        cases.push(attention_row(Shape::of(shape))?);
    }
    Ok(cases)
}

fn attention(s: Shape, variant: Variant) -> Result<Case, GraphError> {
    let Shape { batch, tokens, heads, head } = s;
    let mut case = Case::new(format!("{batch} x {tokens} tokens, {heads} heads of {head}"), TOLERANCE);
    let ((qkv, qkv_exact), (dout, dout_exact)) = (case.noise(&s.qkv(), 1.5), case.noise(&s.output(), 1.0));
    let outputs = case.graph.add(Attention { heads, variant: Some(variant) }, &[qkv])?;
    let grads = ops::gradients_from(&mut case.graph, &[(outputs[0], dout)], &[qkv])?;
    let [o, lse] = forward(s, &qkv_exact);
    case.near(outputs[0], o);
    case.near(outputs[1], lse);
    for gradient in grads.into_iter().flatten() {
        case.near(gradient, backward(s, &qkv_exact, &dout_exact));
    }
    Ok(case)
}

/// With everything stored in 16 bits; on matrix units where there are some.
fn in_halves(s: Shape) -> Result<Case, GraphError> {
    let Shape { batch, tokens, heads, head } = s;
    let mut case = Case::new(format!("{batch} x {tokens} tokens, {heads} heads of {head} in 16 bits"), HALF_TOLERANCE);
    let mut operand = |shape: &[usize]| -> Result<(Var, Vec<f64>), GraphError> {
        // Numbers that are the same in both formats.
        let count = shape.iter().product();
        let values: Vec<f32> = case.random.vec(count).into_iter().map(|x| f16::from_f32(x * 1.5).to_f32()).collect();
        let var = case.floats(shape, &values);
        Ok((ops::cast(&mut case.graph, var, DType::F16)?, exact(&values)))
    };
    let ((qkv, qkv_exact), (dout, dout_exact)) = (operand(&s.qkv())?, operand(&s.output())?);
    let outputs = case.graph.add(Attention { heads, variant: Some(Variant::Matrix) }, &[qkv])?;
    let grads = ops::gradients_from(&mut case.graph, &[(outputs[0], dout)], &[qkv])?;
    let [o, lse] = forward(s, &qkv_exact);
    let result = ops::cast(&mut case.graph, outputs[0], DType::F32)?;
    case.near(result, o);
    case.near(outputs[1], lse);
    for gradient in grads.into_iter().flatten() {
        let gradient = ops::cast(&mut case.graph, gradient, DType::F32)?;
        case.near(gradient, backward(s, &qkv_exact, &dout_exact));
    }
    Ok(case)
}

fn attention_row(s: Shape) -> Result<Case, GraphError> {
    let Shape { tokens, heads, head, .. } = s;
    let mut case = Case::new(format!("a row of {tokens} tokens, {heads} heads of {head}"), TOLERANCE);
    let (qkv, exact) = case.noise(&s.qkv(), 1.5);
    let query = case.words(&[1], &[tokens as u32 - 2]);
    let outputs = case.graph.add(Attention { heads, variant: None }, &[qkv])?;
    let probabilities = ops::attention_row(&mut case.graph, qkv, outputs[1], query, heads)?;
    case.near(probabilities, row(s, &exact, tokens - 2));
    Ok(case)
}

fn softmaxes(shape: [usize; 2], variant: Variant) -> Result<Case, GraphError> {
    let mut case = Case::new(format!("{shape:?}"), TOLERANCE);
    let ((x, x_exact), (dy, dy_exact)) = (case.noise(&shape, 6.0), case.noise(&shape, 1.0));
    let y = case.graph.add1(Softmax { variant: Some(variant) }, &[x])?;
    let dx = case.graph.add1(SoftmaxGradient { variant: Some(variant) }, &[y, dy])?;
    let want = softmax(&x_exact, shape[1]);
    case.near(dx, softmax_gradient(&want, &dy_exact, shape[1]));
    case.near(y, want);
    Ok(case)
}

/// Elements that no finite number is below; some invocations that share a row have none of them.
fn softmax_of_the_lowest(variant: Variant) -> Result<Case, GraphError> {
    let mut case = Case::new("[2, 20] of the lowest f32", TOLERANCE);
    let x = case.floats(&[2, 20], &[f32::MIN; 40]);
    let y = case.graph.add1(Softmax { variant: Some(variant) }, &[x])?;
    case.near(y, vec![1.0 / 20.0; 40]);
    Ok(case)
}
