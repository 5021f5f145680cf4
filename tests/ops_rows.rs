//! Ops on rows of tokens: layer norm, gather, slice, concat, loss.

mod common;

use common::{Case, Data, Random, assert_close, check, random_input, run};
use unmask::eval::kernels::twins::{self, exact};
use unmask::graph::{Graph, TensorType};
use unmask::ops;

#[test]
fn layer_norm_of_any_width() {
    let mut random = Random(1);
    for (rows, width) in [(1, 4), (3, 12), (70, 130), (130, 64)] {
        let big = rows * width > 200;
        check(
            &format!("layer_norm {rows}x{width}"),
            &Case {
                inputs: vec![
                    random_input(&mut random, &[rows, width]),
                    random_input(&mut random, &[width]),
                    random_input(&mut random, &[width]),
                ],
                wants: vec![!big, !big || rows == 70, !big || rows == 70],
                build: &|graph, v| Ok(vec![ops::layer_norm(graph, v[0], v[1], v[2], 1e-6)?]),
                twin: &|x| vec![twins::layer_norm(&x[0], &x[1], &x[2], 1e-6).y],
            },
        );
    }
}

#[test]
fn residual_gradients_join_in_the_layer_norm() {
    let mut random = Random(9);
    let (rows, width) = (3, 8);
    check(
        "x + layer_norm(x)",
        &Case {
            inputs: vec![
                random_input(&mut random, &[rows, width]),
                random_input(&mut random, &[width]),
                random_input(&mut random, &[width]),
            ],
            wants: vec![true, true, true],
            build: &|graph, v| {
                let y = ops::layer_norm(graph, v[0], v[1], v[2], 1e-6)?;
                Ok(vec![ops::add(graph, v[0], y)?])
            },
            twin: &|x| vec![twins::add(&x[0], &twins::layer_norm(&x[0], &x[1], &x[2], 1e-6).y)],
        },
    );
}

/// What is added to the gradient of one norm's input comes only after the gradients of the shared scale are summed: the sum
/// of the former must not pull those of the latter behind it.
#[test]
fn norms_share_their_scale() {
    let mut random = Random(10);
    let (rows, width) = (3, 8);
    let inputs = [vec![rows, width], vec![rows, width], vec![width], vec![width]];
    let norm = |x: &[f64], scale: &[Vec<f64>]| twins::layer_norm(x, &scale[0], &scale[1], 1e-6).y;
    check(
        "layer_norm(h) + layer_norm(t) + gelu(t)",
        &Case {
            inputs: inputs.iter().map(|shape| random_input(&mut random, shape)).collect(),
            wants: vec![true; 4],
            build: &|graph, v| {
                let active = ops::gelu(graph, v[1])?;
                let [h, t] = [v[0], v[1]].map(|x| ops::layer_norm(graph, x, v[2], v[3], 1e-6));
                let sum = ops::add(graph, h?, t?)?;
                Ok(vec![ops::add(graph, sum, active)?])
            },
            twin: &|x| {
                let active: Vec<f64> = x[1].iter().map(|x| twins::gelu(*x)).collect();
                vec![twins::add(&twins::add(&norm(&x[0], &x[2..]), &norm(&x[1], &x[2..])), &active)]
            },
        },
    );
}

/// An index that picks `k` of `n` rows for each of `b` batch elements, and its inverse.
fn pick(random: &mut Random, b: usize, n: usize) -> (Vec<u32>, Vec<u32>) {
    let mut shuffle = Vec::new();
    let mut restore = vec![0; b * n];
    for i in 0..b {
        let order = random.permutation(n);
        for (rank, patch) in order.iter().enumerate() {
            restore[i * n + *patch as usize] = rank as u32;
        }
        shuffle.extend(order);
    }
    (shuffle, restore)
}

/// Indices as the harness hands them to twins, back as integers.
fn index(x: &[f64]) -> Vec<u32> {
    x.iter().map(|x| *x as u32).collect()
}

#[test]
fn gather_picks_and_its_gradient_puts_back() {
    let mut random = Random(4);
    for (b, bx, n, k, d) in [(2, 2, 6, 3, 4), (3, 1, 5, 2, 3), (1, 1, 1, 1, 1), (2, 2, 4, 4, 5)] {
        let (shuffle, restore) = pick(&mut random, b, n);
        let keep: Vec<u32> = shuffle.chunks(n).flat_map(|row| row[..k].to_vec()).collect();
        check(
            &format!("gather {b} {bx} {n} {k} {d}"),
            &Case {
                inputs: vec![
                    random_input(&mut random, &[bx, n, d]),
                    (TensorType::u32(&[b, k]), Data::U32(keep)),
                    (TensorType::u32(&[b, n]), Data::U32(restore)),
                ],
                wants: vec![true, false, false],
                build: &|graph, v| Ok(vec![ops::gather_rows(graph, v[0], v[1], v[2], None)?]),
                twin: &|x| vec![twins::gather_rows(&x[0], [bx, n, d], &index(&x[1]), k, None)],
            },
        );
    }
}

#[test]
fn gather_fills_what_is_missing() {
    let mut random = Random(5);
    let (b, n, k, d) = (2, 7, 3, 4);
    let (shuffle, restore) = pick(&mut random, b, n);
    let keep: Vec<u32> = shuffle.chunks(n).flat_map(|row| row[..k].to_vec()).collect();
    check(
        "gather with fill",
        &Case {
            inputs: vec![
                random_input(&mut random, &[b, k, d]),
                (TensorType::u32(&[b, n]), Data::U32(restore)),
                (TensorType::u32(&[b, k]), Data::U32(keep)),
                random_input(&mut random, &[1, 1, d]),
            ],
            wants: vec![true, false, false, true],
            build: &|graph, v| Ok(vec![ops::gather_rows(graph, v[0], v[1], v[2], Some(v[3]))?]),
            twin: &|x| vec![twins::gather_rows(&x[0], [b, k, d], &index(&x[1]), n, Some(&x[3]))],
        },
    );
}

#[test]
fn slices_and_concatenations() {
    let mut random = Random(6);
    let (b, m, n, d) = (3, 2, 4, 5);
    for shared in [1, b] {
        check(
            &format!("concat then slice, {shared} first"),
            &Case {
                inputs: vec![random_input(&mut random, &[shared, m, d]), random_input(&mut random, &[b, n, d])],
                wants: vec![true, true],
                build: &|graph, v| {
                    let joined = ops::concat_rows(graph, v[0], v[1])?;
                    Ok(vec![ops::slice_rows(graph, joined, 1, m + n - 2)?, joined])
                },
                twin: &|x| {
                    let joined = twins::concat_rows(&x[0], m * d, &x[1], n * d);
                    vec![twins::slice_rows(&joined, [m + n, d], 1, m + n - 2), joined]
                },
            },
        );
    }
}

#[test]
fn masked_loss_counts_hidden_rows_alone() {
    let mut random = Random(7);
    for (b, l, p) in [(2, 5, 3), (1, 1, 7), (3, 90, 20)] {
        for hidden in [0usize, 1, 3] {
            let mask: Vec<f32> = (0..b * l).map(|i| if i % 4 < hidden { 1.0 } else { 0.0 }).collect();
            let big = b * l * p > 100;
            check(
                &format!("masked_mse {b} {l} {p}, {hidden} of 4 hidden"),
                &Case {
                    inputs: vec![
                        random_input(&mut random, &[b, l, p]),
                        random_input(&mut random, &[b, l, p]),
                        (TensorType::f32(&[b, l]), Data::F32(mask)),
                    ],
                    wants: vec![!big, false, false],
                    build: &|graph, v| {
                        let vars = ops::masked_mse(graph, v[0], v[1], v[2])?;
                        Ok(vec![vars.loss, vars.per_row])
                    },
                    twin: &|x| {
                        let want = twins::masked_mse(&x[0], &x[1], &x[2]);
                        vec![vec![want.loss], want.per_row]
                    },
                },
            );
        }
    }
}

#[test]
fn means_of_rows() {
    let mut random = Random(11);
    for shape in [[1, 1, 1], [2, 5, 3], [3, 4, 8], [9, 50, 36]] {
        let [_, n, d] = shape;
        check(
            &format!("mean_rows {shape:?}"),
            &Case {
                inputs: vec![random_input(&mut random, &shape)],
                wants: vec![n < 50],
                build: &|graph, v| Ok(vec![ops::mean_rows(graph, v[0])?]),
                twin: &|x| vec![twins::mean_rows(&x[0], [n, d])],
            },
        );
    }
}

#[test]
fn cross_entropy_of_few_and_of_many_classes() {
    let mut random = Random(12);
    for [b, c] in [[1, 1], [3, 2], [6, 33], [300, 70]] {
        let labels: Vec<u32> = (0..b).map(|row| (row * 5 % c) as u32).collect();
        check(
            &format!("cross_entropy {b} of {c}"),
            &Case {
                inputs: vec![random_input(&mut random, &[b, c]), (TensorType::u32(&[b]), Data::U32(labels))],
                wants: vec![b < 300, false],
                build: &|graph, v| Ok(vec![ops::cross_entropy(graph, v[0], v[1])?]),
                twin: &|x| {
                    let (losses, _) = twins::cross_entropy(&x[0], c, &index(&x[1]));
                    vec![twins::mean_rows(&losses, [b, 1])]
                },
            },
        );
    }
}

#[test]
fn cosines_of_rows() {
    let mut random = Random(23);
    for (shape, query) in [([1, 1], 0), ([7, 5], 6), ([130, 33], 64)] {
        let mut graph = Graph::new();
        let x = graph.external("x", TensorType::f32(&shape));
        let row = graph.external("query", TensorType::u32(&[1]));
        let cosines = ops::cosine_row(&mut graph, x, row).expect("cosines");
        let mut values = random.vec(shape.iter().product());
        if shape[0] > 1 {
            // A row of zeros is like nothing.
            values[..shape[1]].fill(0.0);
        }
        let want = twins::cosine_row(&exact(&values), shape[1], query);
        let inputs = [("x", Data::F32(values)), ("query", Data::U32(vec![query as u32]))];
        let got = &run(&graph, &inputs, &[cosines])[0];
        assert_close(&format!("{shape:?}"), got, &want, 2e-6);
        assert!((got[query] - 1.0).abs() < 1e-5);
    }
}

/// Rather than to drop it without a word.
#[test]
fn errors_of_single_rows_let_no_gradient_through() {
    let mut graph = Graph::new();
    let [pred, target] = ["pred", "target"].map(|name| graph.external(name, TensorType::f32(&[6, 8])));
    let mask = graph.external("mask", TensorType::f32(&[6]));
    let errors = ops::masked_mse(&mut graph, pred, target, mask).expect("errors");
    assert!(ops::gradients(&mut graph, errors.loss, &[pred]).expect("a gradient")[0].is_some());
    let refused = ops::gradients(&mut graph, errors.per_row, &[pred]).expect_err("a refusal").to_string();
    assert_eq!(refused, "masked_mse lets no gradient through its output per_row");
}
