//! Elementwise ops and column sums against their twins.

mod common;

use common::{Case, Data, Random, assert_close, check, random_input, run};
use unmask::eval::kernels::twins;
use unmask::graph::{Graph, TensorType};
use unmask::ops;

#[test]
fn gelu_is_the_exact_one() {
    let mut random = Random(1);
    for length in [1usize, 7, 300, 1025] {
        let (ty, data) = random_input(&mut random, &[length]);
        let wide = Data::F32(data.f32().iter().map(|x| x * 4.0).collect());
        check(
            &format!("gelu of {length}"),
            &Case {
                inputs: vec![(ty, wide)],
                wants: vec![true],
                build: &|graph, v| Ok(vec![ops::gelu(graph, v[0])?]),
                twin: &|x| vec![x[0].iter().map(|x| twins::gelu(*x)).collect()],
            },
        );
    }
}

#[test]
fn add_repeats_its_second_operand() {
    let mut random = Random(2);
    for (a, b) in [
        (vec![3, 5], vec![3, 5]),
        (vec![2, 7, 12], vec![12]),
        (vec![2, 7, 12], vec![1, 1, 12]),
        (vec![130, 3, 2], vec![3, 2]),
        (vec![4, 3], vec![1]),
    ] {
        check(
            &format!("add {a:?} {b:?}"),
            &Case {
                inputs: vec![random_input(&mut random, &a), random_input(&mut random, &b)],
                wants: vec![true, true],
                build: &|graph, v| Ok(vec![ops::add(graph, v[0], v[1])?]),
                twin: &|x| vec![twins::add(&x[0], &x[1])],
            },
        );
    }
}

#[test]
fn column_sums_over_any_number_of_rows() {
    let mut random = Random(3);
    for (rows, columns) in [(1, 5), (64, 64), (65, 3), (1000, 130)] {
        check(
            &format!("column_sum {rows}x{columns}"),
            &Case {
                inputs: vec![random_input(&mut random, &[rows, columns])],
                wants: vec![false],
                build: &|graph, v| Ok(vec![ops::column_sum(graph, v[0], &[columns])?]),
                twin: &|x| vec![twins::column_sum(&x[0], columns, |_| true)],
            },
        );
    }
}

#[test]
fn gradients_that_come_in_at_one_tensor_add_up() {
    let mut graph = Graph::new();
    let [x, one, other] = ["x", "one", "other"].map(|name| graph.external(name, TensorType::f32(&[9])));
    let y = ops::gelu(&mut graph, x).expect("GELU");
    let dx = ops::gradients_from(&mut graph, &[(y, one), (y, other)], &[x]).expect("gradients")[0].expect("one of x");
    let mut random = Random(4);
    let values = [(); 3].map(|()| random.vec(9));
    let want: Vec<f64> = (0..9)
        .map(|i| twins::gelu_slope(f64::from(values[0][i])) * (f64::from(values[1][i]) + f64::from(values[2][i])))
        .collect();
    let inputs: Vec<_> = ["x", "one", "other"].into_iter().zip(values.map(Data::F32)).collect();
    assert_close("dx", &run(&graph, &inputs, &[dx])[0], &want, 1e-5);
}
