//! Elementwise ops and column sums against their twins.

mod common;

use common::{Case, Data, Random, assert_close, check, random_input, run};
use unmask::eval::kernels::twins;
use unmask::graph::{DType, Graph, Op, TensorType};
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

/// Every op, but for those that take no tensors.
fn ops_on_tensors() -> Vec<Box<dyn Op>> {
    let patchify = ops::Patchify { patch: 2, order: ops::PatchOrder::RowColumnChannel };
    let (mean, std) = (ops::PIXEL_MEAN, ops::PIXEL_STD);
    let (heads, variant) = (1, None);
    vec![
        Box::new(ops::Add),
        Box::new(ops::Attention { heads, variant }),
        Box::new(ops::AttentionGradient { heads, variant }),
        Box::new(ops::AttentionRow { heads }),
        Box::new(ops::Cast { to: DType::F32 }),
        Box::new(ops::ColumnSum { shape: vec![4], limit: None }),
        Box::new(ops::ColumnSum { shape: vec![4], limit: Some(1) }),
        Box::new(ops::ConcatRows),
        Box::new(ops::CosineRow),
        Box::new(ops::CropBoxes { mode: ops::CropMode::Whole }),
        Box::new(ops::CrossEntropy),
        Box::new(ops::CrossEntropyGradient),
        Box::new(ops::GatherRows { fill: false }),
        Box::new(ops::GatherRows { fill: true }),
        Box::new(ops::Gelu),
        Box::new(ops::GeluGradient),
        Box::new(ops::GeluSlope),
        Box::new(ops::HiddenRows { visible: 1 }),
        Box::new(ops::LayerNorm { eps: 1e-6 }),
        Box::new(ops::LayerNormColumns),
        Box::new(ops::LayerNormGradient { residual: false, columns: true }),
        Box::new(ops::LayerNormGradient { residual: true, columns: false }),
        Box::new(ops::MaskNoise { strategy: ops::MaskStrategy::default(), batch: 1, grid: 2, hidden: 1 }),
        Box::new(ops::MaskRank { visible: 1 }),
        Box::new(ops::MaskedMse),
        Box::new(ops::MaskedMseGradient),
        Box::new(ops::MatMul::new(ops::Form::NN, false)),
        Box::new(ops::MatMul::new(ops::Form::TN, true)),
        Box::new(ops::MeanRows),
        Box::new(ops::MeanRowsGradient { rows: 3 }),
        Box::new(ops::NormalisePatches),
        Box::new(ops::PatchError { patch: 2, denormalise: true, std }),
        Box::new(patchify),
        Box::new(ops::Unpatchify { patchify, shape: [3, 4, 4] }),
        Box::new(ops::Preview { patch: 2, denormalise: false, mean, std }),
        Box::new(ops::Resample { side: 4, max_height: 4, mean, std }),
        Box::new(ops::SliceRows { start: 0, count: 1, total: 3, pad: false }),
        Box::new(ops::Softmax { variant }),
        Box::new(ops::SoftmaxGradient { variant }),
    ]
}

#[test]
fn ops_refuse_missing_tensors_and_integers_for_floats() {
    let takes_words_alone = ["crop_boxes", "hidden_rows", "mask_noise"];
    let words = TensorType::u32(&[2, 3, 4]);
    for op in ops_on_tensors() {
        assert!(op.output_types(&[]).is_err(), "{op:?} without inputs");
        let refused: Vec<String> = (1..=5)
            .map(|count| op.output_types(&vec![&words; count]).expect_err(&format!("{op:?} of {count} of integers")))
            .collect();
        let told = refused.iter().any(|reason| reason.contains("expected floats"));
        assert_eq!(told, !takes_words_alone.contains(&op.name()), "{op:?}: {refused:?}");
    }
    let floats = TensorType::f32(&[1]);
    assert!(ops::Fill { ty: floats.clone(), value: 1.0 }.output_types(&[&floats]).is_err());
    assert!(ops::Fill { ty: words, value: 1.0 }.output_types(&[]).is_err());
    assert!(ops::SubgroupSizes { side: 8 }.output_types(&[&floats]).is_err());
}
