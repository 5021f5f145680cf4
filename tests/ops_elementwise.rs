//! Elementwise ops and column sums against their twins.

mod common;

use common::{Case, Data, Random, assert_close, check, gpu_as, random_input, run};
use unmask::eval::kernels::twins;
use unmask::gpu::Uploads;
use unmask::graph::{Caps, DType, Externals, Graph, Layout, Op, Plan, TensorType};
use unmask::ops::{self, Form};

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

/// What takes more workgroups than may lie side by side in one dimension is spread over two: here none may.
#[test]
fn column_sums_are_spread_over_rows_of_workgroups() {
    let mut random = Random(5);
    let shapes = [("x", [3, 300]), ("dy", [3, 300]), ("stats", [3, 2]), ("a", [2064, 12]), ("b", [2064, 8])];
    let values = shapes.map(|(_, [rows, columns])| random.vec(rows * columns));
    let [x_exact, dy_exact, stats_exact, a_exact, b_exact] = values.each_ref().map(|values| twins::exact(values));
    for processor in [true, false] {
        let gpu = gpu_as(processor);
        let mut graph = Graph::new();
        let [x, dy, stats, a, b] = shapes.map(|(name, shape)| graph.external(name, TensorType::f32(&shape)));
        let mut roots = vec![ops::column_sum(&mut graph, x, &[300]).expect("sums")];
        roots.extend(graph.add(ops::LayerNormColumns, &[x, stats, dy]).expect("sums of a norm"));
        // In parts, whose sums are those of two matrices at once.
        roots.push(ops::column_sum(&mut graph, a, &[12]).expect("sums"));
        roots.push(ops::matmul(&mut graph, Form::TN, a, b).expect("a product"));
        let caps = Caps { max_workgroups: 1, ..Caps::of(&gpu) };
        let layout = Layout::of(&graph, &roots, caps).expect("a layout");
        let mut externals = Externals::new();
        pollster::block_on(externals.allocate(&gpu, &graph)).expect("memory");
        let plan = pollster::block_on(Plan::new(&gpu, &graph, &layout, &roots, &externals)).expect("a plan");
        let sums: Vec<[u32; 3]> =
            plan.list().dispatches.iter().filter(|d| d.op != "matmul").map(|d| d.workgroups).collect();
        assert!(sums.len() == 2 && sums.iter().all(|groups| groups[0] == 1 && groups[1] > 1), "{sums:?}");
        for ((name, _), values) in shapes.iter().zip(&values) {
            gpu.upload(externals.get(name).expect("an input"), values);
        }
        plan.run(&gpu);
        let slices: Vec<_> = roots.iter().map(|root| plan.slice(*root).expect("a root").clone()).collect();
        let read = pollster::block_on(gpu.read("sums", &slices)).expect("a readback");
        let [_, dgamma, dbeta] = twins::layer_norm_gradient(&x_exact, &[1.0; 300], &stats_exact, &dy_exact);
        let wants = [
            twins::column_sum(&x_exact, 300, |_| true),
            dgamma,
            dbeta,
            twins::column_sum(&a_exact, 12, |_| true),
            twins::product(Form::TN, &a_exact, &b_exact, (12, 8, 2064)),
        ];
        for (index, (bytes, want)) in read.iter().zip(&wants).enumerate() {
            let got: Vec<f32> = bytemuck::pod_collect_to_vec(bytes);
            assert_close(&format!("result {index}, processor {processor}"), &got, want, 1e-5);
        }
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
