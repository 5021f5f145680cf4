//! Every op that can store its tensors in 16 bits: with them so stored, it gives what it gives in 32 bits, but for their
//! rounding. The results in 32 bits are compared with a twin in f64 elsewhere.

mod common;

use common::{Data, Random, assert_close, gpu_as, run_on};
use half::f16;
use unmask::graph::{Caps, DType, Graph, GraphError, TensorType, Var};
use unmask::ops::{self, Attention, Form, MatMul, Variant};

/// Roundings of single numbers stay below 2^-11; sums of them and what follows are a little off.
const TOLERANCE: f64 = 1.5e-3;

type Build<'a> = &'a dyn Fn(&mut Graph, &[Var]) -> Result<Var, GraphError>;

/// An input: shape, data, whether it is stored in 16 bits and whether it has a gradient.
type Input = (TensorType, Data, bool, bool);

fn noise(random: &mut Random, shape: &[usize], half: bool) -> Input {
    let ty = TensorType::f32(shape);
    // Numbers that are the same in both formats.
    let values = random.vec(ty.len()).into_iter().map(|x| f16::from_f32(x).to_f32()).collect();
    (ty, Data::F32(values), half, true)
}

fn words(shape: &[usize], values: &[u32]) -> Input {
    (TensorType::u32(shape), Data::U32(values.to_vec()), false, false)
}

/// Result and gradients, with inputs stored in 16 bits or not.
fn results(processor: bool, inputs: &[Input], build: Build<'_>, half: bool) -> Vec<Vec<f32>> {
    let gpu = gpu_as(processor);
    let mut graph = Graph::new();
    let names: Vec<String> = (0..inputs.len()).map(|index| format!("input {index}")).collect();
    let given: Vec<Var> =
        inputs.iter().zip(&names).map(|((ty, ..), name)| graph.external(name.clone(), ty.clone())).collect();
    let vars: Vec<Var> = given
        .iter()
        .zip(inputs)
        .map(|(var, (_, _, stored, _))| match half && *stored {
            true => ops::cast(&mut graph, *var, DType::F16).expect("a cast"),
            false => *var,
        })
        .collect();
    let result = build(&mut graph, &vars).expect("an op");
    let out = ops::cast(&mut graph, result, DType::F32).expect("a cast");
    let ty = graph.ty(out).clone();
    let seed = graph.external("seed", ty.clone());
    let stored = graph.ty(result).dtype;
    let dout = ops::cast(&mut graph, seed, stored).expect("a cast");
    let wrt: Vec<Var> = given.iter().zip(inputs).filter(|(_, input)| input.3).map(|(var, _)| *var).collect();
    let grads = ops::gradients_from(&mut graph, &[(result, dout)], &wrt).expect("gradients");
    let roots: Vec<Var> = std::iter::once(out).chain(grads.into_iter().map(|grad| grad.expect("a gradient"))).collect();
    assert!(roots.iter().all(|root| graph.ty(*root).dtype == DType::F32));
    let seed = Random(7).vec(ty.len()).into_iter().map(|x| f16::from_f32(x).to_f32()).collect();
    let mut data: Vec<(&str, Data)> =
        names.iter().map(String::as_str).zip(inputs.iter().map(|input| input.1.clone())).collect();
    data.push(("seed", Data::F32(seed)));
    run_on(&gpu, &graph, &data, &roots)
}

fn check(what: &str, inputs: &[Input], build: Build<'_>) {
    for processor in [true, false] {
        if !Caps::of(&gpu_as(processor)).f16 {
            let gpu = gpu_as(processor);
            return common::left_out_of(&gpu, &format!("ops on 16-bit floats: {} has none", gpu.name()));
        }
        let want = results(processor, inputs, build, false);
        let got = results(processor, inputs, build, true);
        for (index, (got, want)) in got.iter().zip(&want).enumerate() {
            let want: Vec<f64> = want.iter().map(|x| f64::from(*x)).collect();
            assert_close(&format!("{what}, result {index}, processor {processor}"), got, &want, TOLERANCE);
        }
        // Copies of numbers that are the same in both formats are exact.
        let copies = ["concat", "gather"].iter().any(|name| what.starts_with(name));
        let rounded = got.iter().zip(&want).any(|(got, want)| got != want);
        assert!(rounded || copies, "{what}: 16 bits gave the same bits as 32");
    }
}

#[test]
fn products() {
    let mut random = Random(1);
    for (m, n, k) in [(64, 48, 32), (33, 20, 68), (7, 5, 9), (130, 64, 4)] {
        for form in [Form::NN, Form::NT, Form::TN] {
            let (a, b) = match form {
                Form::NN => ([m, k], [k, n]),
                Form::NT => ([m, k], [n, k]),
                Form::TN => ([k, m], [k, n]),
            };
            let inputs = [noise(&mut random, &a, true), noise(&mut random, &b, true)];
            check(&format!("{form:?} {m} {n} {k}"), &inputs, &|g, v| ops::matmul(g, form, v[0], v[1]));
        }
        let (x, w) = (noise(&mut random, &[m, k], true), noise(&mut random, &[n, k], true));
        let (bias, residual) = (noise(&mut random, &[n], false), noise(&mut random, &[m, n], true));
        check(&format!("bias and GELU {m} {n} {k}"), &[x.clone(), w.clone(), bias.clone()], &|g, v| {
            let y = ops::matmul(g, Form::NT, v[0], v[1])?;
            let y = ops::add(g, y, v[2])?;
            ops::gelu(g, y)
        });
        check(&format!("bias and residual {m} {n} {k}"), &[x, w, bias, residual], &|g, v| {
            let y = ops::matmul(g, Form::NT, v[0], v[1])?;
            let y = ops::add(g, y, v[2])?;
            ops::add(g, v[3], y)
        });
    }
    // All tiles.
    let (x, w) = (noise(&mut random, &[70, 36], true), noise(&mut random, &[44, 36], true));
    for tile in ops::TILES {
        let op = MatMul::new(Form::NT, false).with_tile(Some(tile));
        check(&format!("tile {tile}"), &[x.clone(), w.clone()], &|g, v| g.add1(op, v));
    }
    let (x, y) = (noise(&mut random, &[3, 10, 12], true), noise(&mut random, &[3, 12, 20], true));
    check("batched", &[x, y], &|g, v| ops::batched_matmul(g, Form::NN, v[0], v[1]));
}

#[test]
fn attention() {
    let mut random = Random(2);
    for (batch, tokens, heads, size) in [(2, 17, 3, 32), (1, 40, 2, 64), (1, 9, 1, 80), (1, 5, 2, 12)] {
        for variant in [Variant::Shared, Variant::Lean, Variant::Direct, Variant::Broadcast] {
            let qkv = noise(&mut random, &[batch, tokens, 3 * heads * size], true);
            check(&format!("{variant:?} {batch} {tokens} {heads} x {size}"), &[qkv], &|g, v| {
                Ok(g.add(Attention { heads, variant: Some(variant) }, v)?[0])
            });
        }
    }
}

#[test]
fn rows() {
    let mut random = Random(3);
    for shape in [[2, 5, 64], [1, 3, 33]] {
        let x = noise(&mut random, &shape, true);
        let (gamma, beta) = (noise(&mut random, &[shape[2]], false), noise(&mut random, &[shape[2]], false));
        check(&format!("layer norm {shape:?}"), &[x.clone(), gamma, beta], &|g, v| {
            ops::layer_norm(g, v[0], v[1], v[2], 1e-6)
        });
        let table = noise(&mut random, &[1, shape[1], shape[2]], false);
        check(&format!("add {shape:?}"), &[x.clone(), table], &|g, v| ops::add(g, v[0], v[1]));
        let class = noise(&mut random, &[1, 1, shape[2]], false);
        check(&format!("concat {shape:?}"), &[class, x.clone()], &|g, v| ops::concat_rows(g, v[0], v[1]));
        check(&format!("slice {shape:?}"), std::slice::from_ref(&x), &|g, v| {
            let y = ops::slice_rows(g, v[0], 1, shape[1] - 1)?;
            // A slice alone rounds nothing.
            ops::gelu(g, y)
        });
        check(&format!("GELU {shape:?}"), &[x], &|g, v| ops::gelu(g, v[0]));
    }
    for shape in [[2, 5, 768], [1, 3, 1300]] {
        let x = noise(&mut random, &shape, true);
        let (gamma, beta) = (noise(&mut random, &[shape[2]], false), noise(&mut random, &[shape[2]], false));
        check(&format!("wide layer norm {shape:?}"), &[x, gamma, beta], &|g, v| {
            ops::layer_norm(g, v[0], v[1], v[2], 1e-6)
        });
    }
    // Vectors, and numbers one by one.
    for width in [20, 21] {
        let x = noise(&mut random, &[2, 3, width], true);
        let fill = noise(&mut random, &[1, 1, width], false);
        let index = words(&[2, 5], &[0, 9, 2, 1, 9, 9, 1, 0, 9, 2]);
        let inverse = words(&[2, 3], &[0, 3, 2, 2, 1, 4]);
        check(&format!("gather {width}"), &[x, index, inverse, fill], &|g, v| {
            ops::gather_rows(g, v[0], v[1], v[2], Some(v[3]))
        });
        let pred = noise(&mut random, &[2, 6, width], true);
        let mut target = noise(&mut random, &[2, 6, width], false);
        target.3 = false;
        let mask: Vec<f32> = (0..12).map(|i| f32::from(i % 3 > 0)).collect();
        let mask = (TensorType::f32(&[2, 6]), Data::F32(mask), false, false);
        check(&format!("masked mean square error {width}"), &[pred, target, mask], &|g, v| {
            Ok(ops::masked_mse(g, v[0], v[1], v[2])?.loss)
        });
    }
}
