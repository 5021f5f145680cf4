//! Attention and softmax against their twins, in all variants.

mod common;

use common::{Case, Data, Random, assert_close, check_to, random_input, run, run_bits};
use unmask::eval::kernels::twins::attention::{Shape, backward, forward, row, softmax};
use unmask::eval::kernels::twins::exact;
use unmask::graph::{Graph, TensorType, Var};
use unmask::ops::{self, Attention, AttentionGradient, Softmax, SoftmaxGradient, Variant};

const VARIANTS: [Variant; 4] = [Variant::Shared, Variant::Lean, Variant::Direct, Variant::Broadcast];

/// Attention with output, log-sum-exp and gradient as roots.
fn graph(s: Shape, variant: Option<Variant>) -> (Graph, [Var; 3]) {
    let mut graph = Graph::new();
    let qkv = graph.external("qkv", TensorType::f32(&s.qkv()));
    let dout = graph.external("dout", TensorType::f32(&s.output()));
    let outputs = graph.add(Attention { heads: s.heads, variant }, &[qkv]).expect("an attention");
    let grads = ops::gradients_from(&mut graph, &[(outputs[0], dout)], &[qkv]).expect("gradients");
    let roots = [outputs[0], outputs[1], grads[0].expect("a gradient")];
    (graph, roots)
}

/// Both variants against the twins; `size` scales queries, keys and values.
fn compare(s: Shape, size: f32, forward_tolerance: f64, backward_tolerance: f64) {
    let mut random = Random(5 + s.tokens as u64);
    let qkv: Vec<f32> = random.vec(s.qkv().iter().product()).iter().map(|x| x * size).collect();
    let dout = random.vec(s.output().iter().product());
    let [o, lse] = forward(s, &exact(&qkv));
    let dqkv = backward(s, &exact(&qkv), &exact(&dout));
    let inputs = [("qkv", Data::F32(qkv)), ("dout", Data::F32(dout))];
    for variant in VARIANTS {
        let (graph, roots) = graph(s, Some(variant));
        let got = run(&graph, &inputs, &roots);
        assert_close(&format!("{s:?} {variant:?}, o"), &got[0], &o, forward_tolerance);
        assert_close(&format!("{s:?} {variant:?}, lse"), &got[1], &lse, forward_tolerance);
        assert_close(&format!("{s:?} {variant:?}, dqkv"), &got[2], &dqkv, backward_tolerance);
    }
}

#[test]
fn attention_agrees_with_its_twin() {
    for shape in [
        (1, 1, 1, 16),
        (2, 5, 3, 24),
        (3, 17, 4, 32),
        (2, 65, 2, 64),
        (1, 70, 2, 80),
        (1, 130, 1, 128),
        (1, 130, 3, 12),
        (2, 64, 1, 8),
    ] {
        compare(Shape::of(shape), 1.0, 2e-6, 5e-6);
    }
}

#[test]
fn large_logits_keep_their_accuracy() {
    for shape in [(1, 17, 2, 32), (1, 130, 2, 64), (1, 65, 1, 80)] {
        compare(Shape::of(shape), 8.0, 1e-5, 1e-4);
    }
    // Logits in the thousands: one key takes all the weight, and none of the exponentials overflows.
    compare(Shape::of((1, 70, 1, 64)), 100.0, 1e-3, 1e-2);
}

#[test]
fn attention_gradient_agrees_with_central_differences() {
    let mut random = Random(11);
    for (shape, variant) in
        [((1, 5, 2, 8), Variant::Shared), ((2, 3, 1, 12), Variant::Direct), ((1, 7, 1, 16), Variant::Shared)]
    {
        let s = Shape::of(shape);
        let case = Case {
            inputs: vec![random_input(&mut random, &s.qkv())],
            wants: vec![true],
            build: &|graph, v| graph.add(Attention { heads: s.heads, variant: Some(variant) }, v),
            twin: &|x| forward(s, &x[0]).into(),
        };
        check_to(&format!("{s:?} {variant:?}"), &case, 2e-6, 5e-6);
    }
}

#[test]
fn attention_repeats_bit_by_bit() {
    let s = Shape::of((2, 70, 3, 64));
    let mut random = Random(13);
    let qkv = random.vec(s.qkv().iter().product());
    let inputs = [("qkv", Data::F32(qkv)), ("dout", Data::F32(random.vec(s.output().iter().product())))];
    for variant in VARIANTS {
        let (graph, roots) = graph(s, Some(variant));
        let first = run_bits(&graph, &inputs, &roots);
        assert!(first == run_bits(&graph, &inputs, &roots), "{variant:?} differs between two runs");
    }
}

#[test]
fn attention_refuses_what_it_cannot_do() {
    let refusal = |shape: &[usize], heads: usize| -> String {
        let mut graph = Graph::new();
        let qkv = graph.external("qkv", TensorType::f32(shape));
        ops::attention(&mut graph, qkv, heads).expect_err("a refusal").to_string()
    };
    let cases: [(&[usize], usize, &str); 8] = [
        (&[5, 48], 1, "expected qkv [B, N, 3 D], got [5, 48]"),
        (&[1, 5, 50], 1, "the last axis of qkv, 50, is no multiple of 3 x 1 heads"),
        (&[1, 5, 48], 3, "the last axis of qkv, 48, is no multiple of 3 x 3 heads"),
        (&[1, 5, 48], 0, "3 x 0 heads"),
        (&[1, 5, 0], 1, "an input of shape [1, 5, 0] is empty"),
        (&[1, 5, 12], 1, "1 heads of size 4; expected a multiple of 4 from 8 to 128"),
        (&[1, 5, 60], 2, "2 heads of size 10; expected a multiple of 4 from 8 to 128"),
        (&[1, 5, 396], 1, "1 heads of size 132; expected a multiple of 4 from 8 to 128"),
    ];
    for (shape, heads, reason) in cases {
        let message = refusal(shape, heads);
        assert!(message.contains(reason), "{shape:?} in {heads} heads: {message}");
    }

    let mut graph = Graph::new();
    let qkv = graph.external("qkv", TensorType::f32(&[1, 5, 48]));
    let outputs = graph.add(Attention { heads: 2, variant: None }, &[qkv]).expect("an attention");
    let flat = graph.external("flat", TensorType::f32(&[5, 16]));
    let gradient = AttentionGradient { heads: 2, variant: None };
    let message = graph.add1(gradient, &[qkv, outputs[0], outputs[1], flat]).expect_err("a refusal").to_string();
    assert!(message.contains("do has shape [5, 16]; expected [1, 5, 16]"), "{message}");
    let message = ops::gradients_from(&mut graph, &[(outputs[1], outputs[1])], &[qkv]).expect_err("a refusal");
    assert!(message.to_string().contains("lse"), "{message}");
}

#[test]
fn softmax_agrees_with_its_twin() {
    let mut random = Random(17);
    for (shape, size) in
        [(vec![1], 1.0), (vec![3, 5], 4.0), (vec![2, 3, 64], 30.0), (vec![70, 9], 1.0), (vec![2, 130], 100.0)]
    {
        for variant in VARIANTS {
            let columns = shape[shape.len() - 1];
            let (ty, data) = random_input(&mut random, &shape);
            let wide = Data::F32(data.f32().iter().map(|x| x * size).collect());
            let case = Case {
                inputs: vec![(ty, wide)],
                wants: vec![true],
                build: &|graph, v| graph.add(Softmax { variant: Some(variant) }, v),
                twin: &|x| vec![softmax(&x[0], columns)],
            };
            check_to(&format!("softmax {shape:?} {variant:?}"), &case, 5e-6, 2e-5);
        }
    }
}

#[test]
fn softmax_gradient_wants_one_shape() {
    let mut graph = Graph::new();
    let y = graph.external("y", TensorType::f32(&[2, 3]));
    let dy = graph.external("dy", TensorType::f32(&[3, 2]));
    let message = graph.add1(SoftmaxGradient { variant: None }, &[y, dy]).expect_err("a refusal").to_string();
    assert!(message.contains("y is F32 [2, 3], dy F32 [3, 2]"), "{message}");
}

#[test]
fn a_row_of_attention_agrees_with_its_twin() {
    let mut random = Random(31);
    for (shape, query) in [((1, 1, 1, 8), 0), ((1, 5, 3, 24), 4), ((1, 130, 2, 64), 77)] {
        let s = Shape::of(shape);
        let mut graph = Graph::new();
        let qkv = graph.external("qkv", TensorType::f32(&s.qkv()));
        let token = graph.external("query", TensorType::u32(&[1]));
        let outputs = graph.add(Attention { heads: s.heads, variant: None }, &[qkv]).expect("an attention");
        let row_var = ops::attention_row(&mut graph, qkv, outputs[1], token, s.heads).expect("a row");
        let values = random.vec(s.qkv().iter().product());
        let want = row(s, &exact(&values), query);
        // A token that is not there stands for the last one.
        for asked in [query as u32, if query + 1 == s.tokens { u32::MAX } else { query as u32 }] {
            let inputs = [("qkv", Data::F32(values.clone())), ("query", Data::U32(vec![asked]))];
            let got = &run(&graph, &inputs, &[row_var])[0];
            assert_close(&format!("{s:?}, query {asked}"), got, &want, 5e-6);
            let sum: f32 = got[..s.tokens].iter().sum();
            assert!((sum - 1.0).abs() < 1e-4, "probabilities add up to {sum}");
        }
    }
    let mut graph = Graph::new();
    let two = Shape::of((2, 5, 1, 8));
    let qkv = graph.external("qkv", TensorType::f32(&two.qkv()));
    let lse = graph.external("lse", TensorType::f32(&[2, 1, 5]));
    let token = graph.external("query", TensorType::u32(&[1]));
    let error = ops::attention_row(&mut graph, qkv, lse, token, 1).expect_err("two pictures").to_string();
    assert!(error.contains("[1, N, 3 D]"), "{error}");
}
