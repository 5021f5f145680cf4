//! Matrix products: every form, tile and epilogue against the twin.

mod common;

use common::{Case, Random, check, random_input};
use unmask::eval::kernels::twins::{gelu, product, product_shapes};
use unmask::graph::{Caps, Graph, GraphError, Var};
use unmask::ops::{self, Form, MatMul, TILES, Tile};

fn check_product(tile: Option<Tile>, form: Form, extents: (usize, usize, usize), gradient: bool) {
    let mut random = Random(extents.0 as u64 * 31 + extents.1 as u64 * 7 + extents.2 as u64);
    let [a, b] = product_shapes(form, extents);
    check(
        &format!("{form:?} {extents:?} {tile:?}"),
        &Case {
            inputs: vec![random_input(&mut random, &a), random_input(&mut random, &b)],
            wants: vec![gradient, gradient],
            build: &|graph, v| Ok(vec![graph.add1(MatMul::new(form, false).with_tile(tile), v)?]),
            twin: &|x| vec![product(form, &x[0], &x[1], extents)],
        },
    );
}

const FORMS: [Form; 3] = [Form::NN, Form::NT, Form::TN];

#[test]
fn every_tile_takes_odd_extents() {
    let caps = Caps::of(&common::gpu());
    let odd = [(130, 132, 36), (48, 96, 64), (1, 1, 1), (5, 3, 7), (4, 8, 12), (33, 68, 20), (17, 129, 61)];
    let mut lacking = 0;
    for (index, tile) in TILES.into_iter().enumerate() {
        if !tile.runs_on(caps) {
            lacking += 1;
            continue;
        }
        // The last tiles differ from others in their sizes alone, and each kernel takes a second to compile here.
        let extents = if index < 7 { &odd[..] } else { &odd[..2] };
        for form in FORMS {
            for extents in extents {
                check_product(Some(tile), form, *extents, false);
            }
        }
    }
    if lacking > 0 {
        let count = TILES.len();
        common::left_out::left_out(&format!("products in {lacking} of {count} tiles: this adapter cannot run them"));
    }
}

#[test]
fn tiles_through_workgroup_memory_give_the_same_bits() {
    let gpu = common::gpu_as(false);
    let caps = Caps::of(&gpu);
    for form in FORMS {
        for extents in [(132, 68, 36), (70, 40, 1040)] {
            let (mut random, mut graph) = (Random(11), Graph::new());
            let inputs = product_shapes(form, extents).map(|shape| random_input(&mut random, &shape));
            let [a, b] = [("a", 0), ("b", 1)].map(|(name, at)| graph.external(name, inputs[at].0.clone()));
            let tiles = TILES.into_iter().filter(|tile| matches!(tile, Tile::Shared { .. }) && tile.runs_on(caps));
            let tiles: Vec<Tile> = tiles.collect();
            assert!(tiles.len() >= 6, "{tiles:?}");
            let add =
                |tile: &Tile| graph.add1(MatMul::new(form, false).with_tile(Some(*tile)), &[a, b]).expect("a product");
            let roots: Vec<Var> = tiles.iter().map(add).collect();
            let given = [("a", inputs[0].1.clone()), ("b", inputs[1].1.clone())];
            let results = common::run_bits_on(&gpu, &graph, &given, &roots);
            for (tile, result) in tiles.iter().zip(&results) {
                assert!(*result == results[0], "{form:?} {extents:?}: {tile:?} and {:?} differ", tiles[0]);
            }
        }
    }
}

#[test]
fn gradients_of_every_form() {
    for form in FORMS {
        for extents in [(3, 5, 2), (8, 4, 12)] {
            check_product(None, form, extents, true);
        }
    }
}

#[test]
fn long_sums_are_split_and_stay_exact() {
    for form in FORMS {
        check_product(None, form, (12, 20, 5000), false);
        check_product(Some(TILES[4]), form, (7, 5, 2050), false);
    }
}

#[test]
fn batches_multiply_one_by_one() {
    let (g, m, n, k) = (3, 5, 9, 6);
    for form in FORMS {
        let mut random = Random(5);
        let [a, b] = product_shapes(form, (m, n, k)).map(|[rows, columns]| [g, rows, columns]);
        check(
            &format!("batched {form:?}"),
            &Case {
                inputs: vec![random_input(&mut random, &a), random_input(&mut random, &b)],
                wants: vec![true, true],
                build: &|graph, v| Ok(vec![ops::batched_matmul(graph, form, v[0], v[1])?]),
                twin: &|x| {
                    let pairs = x[0].chunks(m * k).zip(x[1].chunks(k * n));
                    vec![pairs.flat_map(|(a, b)| product(form, a, b, (m, n, k))).collect()]
                },
            },
        );
    }
}

/// A linear layer with what may follow it; fused by the plan.
fn layer(graph: &mut Graph, v: &[Var], with_gelu: bool, with_residual: bool) -> Result<Vec<Var>, GraphError> {
    let product = ops::matmul(graph, Form::NT, v[0], v[1])?;
    let mut y = ops::add(graph, product, v[2])?;
    if with_gelu {
        y = ops::gelu(graph, y)?;
    }
    if with_residual {
        y = ops::add(graph, v[3], y)?;
    }
    Ok(vec![y])
}

#[test]
fn epilogues_fuse_and_agree() {
    for (with_gelu, with_residual) in [(false, false), (true, false), (false, true)] {
        for (m, n, k) in [(6, 8, 4), (5, 6, 7)] {
            let mut random = Random(11);
            let mut inputs = vec![random_input(&mut random, &[m, k]), random_input(&mut random, &[n, k])];
            inputs.push(random_input(&mut random, &[n]));
            inputs.push(random_input(&mut random, &[m, n]));
            if !with_residual {
                inputs.pop();
            }
            check(
                &format!("layer gelu {with_gelu} residual {with_residual} {m} {n} {k}"),
                &Case {
                    wants: vec![true; inputs.len()],
                    inputs,
                    build: &|graph, v| layer(graph, v, with_gelu, with_residual),
                    twin: &|x| {
                        let y = product(Form::NT, &x[0], &x[1], (m, n, k));
                        let y = y.iter().enumerate().map(|(i, y)| {
                            let z = y + x[2][i % n];
                            (if with_gelu { gelu(z) } else { z }) + if with_residual { x[3][i] } else { 0.0 }
                        });
                        vec![y.collect()]
                    },
                },
            );
        }
    }
}

#[test]
fn fusion_leaves_one_launch_a_layer() {
    let mut graph = Graph::new();
    let types = [[6usize, 8], [12, 8]].map(|shape| unmask::graph::TensorType::f32(&shape));
    let x = graph.external("x", types[0].clone());
    let w = graph.external("w", types[1].clone());
    let bias = graph.external("bias", unmask::graph::TensorType::f32(&[12]));
    let y = layer(&mut graph, &[x, w, bias], true, false).expect("a layer")[0];
    let caps = unmask::graph::Caps::of(&common::gpu());
    let layout = unmask::graph::Layout::of(&graph, &[y], caps).expect("a layout");
    assert_eq!(layout.dispatches(), 1);
}

#[test]
fn bias_gradients_come_with_those_of_weights() {
    for (rows, launches) in [(48, 1), (5000, 2)] {
        let mut graph = Graph::new();
        let x = graph.external("x", unmask::graph::TensorType::f32(&[rows, 8]));
        let w = graph.external("w", unmask::graph::TensorType::f32(&[12, 8]));
        let bias = graph.external("bias", unmask::graph::TensorType::f32(&[12]));
        let y = layer(&mut graph, &[x, w, bias], false, false).expect("a layer")[0];
        let dy = graph.external("dy", graph.ty(y).clone());
        let gradients = ops::gradients_from(&mut graph, &[(y, dy)], &[w, bias]).expect("gradients");
        let wanted: Vec<Var> = gradients.into_iter().map(|gradient| gradient.expect("depends")).collect();
        let caps = Caps { cpu: true, ..Caps::of(&common::gpu()) };
        let layout = unmask::graph::Layout::of(&graph, &wanted, caps).expect("a layout");
        // Where the sum is long it is made in parts: one launch more adds up those of both gradients.
        assert_eq!(layout.dispatches(), launches, "{rows} rows");
    }
}

#[test]
fn mismatched_extents_are_refused_by_name() {
    let mut graph = Graph::new();
    let a = graph.external("a", unmask::graph::TensorType::f32(&[2, 3]));
    let b = graph.external("b", unmask::graph::TensorType::f32(&[4, 5]));
    let error = ops::matmul(&mut graph, Form::NN, a, b).expect_err("3 is not 4").to_string();
    assert_eq!(error, "matmul: [2, 3] and [4, 5] cannot be multiplied in form NN");
}
