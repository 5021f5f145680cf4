//! Attention and softmax against their twins, in both variants.

mod common;

use common::{Case, Data, Random, assert_close, check_to, random_input, run, run_bits};
use unmask::graph::{Graph, TensorType, Var};
use unmask::ops::{self, Attention, AttentionGradient, Softmax, SoftmaxGradient, Variant};

const VARIANTS: [Variant; 2] = [Variant::Shared, Variant::Direct];

/// Extents of one attention: batch, tokens, heads, head size.
#[derive(Clone, Copy, Debug)]
struct Shape {
    batch: usize,
    tokens: usize,
    heads: usize,
    head: usize,
}

impl Shape {
    fn of((batch, tokens, heads, head): (usize, usize, usize, usize)) -> Self {
        Shape { batch, tokens, heads, head }
    }

    fn qkv(self) -> [usize; 3] {
        [self.batch, self.tokens, 3 * self.heads * self.head]
    }

    fn output(self) -> [usize; 3] {
        [self.batch, self.tokens, self.heads * self.head]
    }

    /// Where the query (0), key (1) or value (2) of a token and head begins in qkv.
    fn place(self, batch: usize, token: usize, part: usize, head: usize) -> usize {
        (((batch * self.tokens + token) * 3 + part) * self.heads + head) * self.head
    }

    /// Where a token and head begins in the output.
    fn place_out(self, batch: usize, token: usize, head: usize) -> usize {
        ((batch * self.tokens + token) * self.heads + head) * self.head
    }

    /// Calls `each` with batch and head.
    fn for_each_head(self, mut each: impl FnMut(usize, usize)) {
        for batch in 0..self.batch {
            for head in 0..self.heads {
                each(batch, head);
            }
        }
    }

    /// Scaled logits of one query.
    fn logits(self, qkv: &[f64], batch: usize, head: usize, query: usize) -> Vec<f64> {
        let q = &qkv[self.place(batch, query, 0, head)..][..self.head];
        let scale = (self.head as f64).sqrt().recip();
        (0..self.tokens).map(|key| scale * dot(q, &qkv[self.place(batch, key, 1, head)..][..self.head])).collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add_scaled(to: &mut [f64], factor: f64, x: &[f64]) {
    for (to, x) in to.iter_mut().zip(x) {
        *to += factor * x;
    }
}

fn log_sum_exp(x: &[f64]) -> f64 {
    let most = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    most + x.iter().map(|x| (x - most).exp()).sum::<f64>().ln()
}

/// Output and log-sum-exp by the definition.
fn forward(s: Shape, qkv: &[f64]) -> [Vec<f64>; 2] {
    let mut o = vec![0.0; s.batch * s.tokens * s.heads * s.head];
    let mut lse = vec![0.0; s.batch * s.heads * s.tokens];
    s.for_each_head(|batch, head| {
        for query in 0..s.tokens {
            let logits = s.logits(qkv, batch, head, query);
            let normaliser = log_sum_exp(&logits);
            lse[(batch * s.heads + head) * s.tokens + query] = normaliser;
            let to = &mut o[s.place_out(batch, query, head)..][..s.head];
            for (key, logit) in logits.iter().enumerate() {
                add_scaled(to, (logit - normaliser).exp(), &qkv[s.place(batch, key, 2, head)..][..s.head]);
            }
        }
    });
    [o, lse]
}

/// Gradient of `Σ o dout` by the chain rule over the whole matrix.
fn backward(s: Shape, qkv: &[f64], dout: &[f64]) -> Vec<f64> {
    let mut dqkv = vec![0.0; qkv.len()];
    let scale = (s.head as f64).sqrt().recip();
    let part = |at: usize| &qkv[at..][..s.head];
    s.for_each_head(|batch, head| {
        for query in 0..s.tokens {
            let logits = s.logits(qkv, batch, head, query);
            let normaliser = log_sum_exp(&logits);
            let p: Vec<f64> = logits.iter().map(|logit| (logit - normaliser).exp()).collect();
            let dy = &dout[s.place_out(batch, query, head)..][..s.head];
            let dp: Vec<f64> = (0..s.tokens).map(|key| dot(dy, part(s.place(batch, key, 2, head)))).collect();
            let mean = dot(&p, &dp);
            let from_q = s.place(batch, query, 0, head);
            for key in 0..s.tokens {
                let slope = scale * p[key] * (dp[key] - mean);
                let (from_k, from_v) = (s.place(batch, key, 1, head), s.place(batch, key, 2, head));
                add_scaled(&mut dqkv[from_q..][..s.head], slope, part(from_k));
                add_scaled(&mut dqkv[from_k..][..s.head], slope, part(from_q));
                add_scaled(&mut dqkv[from_v..][..s.head], p[key], dy);
            }
        }
    });
    dqkv
}

fn exact(data: &[f32]) -> Vec<f64> {
    data.iter().map(|x| f64::from(*x)).collect()
}

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
        (&[1, 5, 0], 1, "heads of size 0"),
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
                twin: &|x| {
                    let softmax = |row: &[f64]| -> Vec<f64> {
                        let normaliser = log_sum_exp(row);
                        row.iter().map(|x| (x - normaliser).exp()).collect()
                    };
                    vec![x[0].chunks(columns).flat_map(softmax).collect()]
                },
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
    assert!(message.contains("y has shape [2, 3], dy [3, 2]"), "{message}");
}
