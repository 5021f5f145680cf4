//! Patches, their normalisation, previews.

use unmask::eval::kernels::twins::{self, patch_sources};
use unmask::gpu::Uploads;
use unmask::graph::{Caps, Externals, Graph, Layout, Plan, TensorType};
use unmask::ops::{self, PatchOrder, PixelNorm};

use crate::common::{Case, Data, Random, check, gpu, random_input, run, run_bits};

#[test]
fn patches_are_permuted_pictures() {
    let mut random = Random(13);
    for (shape, p) in [([2, 3, 4, 6], 2), ([1, 3, 9, 3], 3), ([3, 1, 5, 5], 5), ([2, 2, 3, 4], 1), ([1, 4, 16, 8], 8)] {
        for order in [PatchOrder::RowColumnChannel, PatchOrder::ChannelRowColumn] {
            let [b, c, h, w] = shape;
            let sources = patch_sources(shape, p, order);
            let patches = [b, h * w / (p * p), p * p * c];
            let cut = |x: &[Vec<f64>]| vec![sources.iter().map(|i| x[0][*i]).collect()];
            let join = |x: &[Vec<f64>]| {
                let mut image = vec![0.0; x[0].len()];
                sources.iter().zip(&x[0]).for_each(|(i, v)| image[*i] = *v);
                vec![image]
            };
            check(
                &format!("patchify {shape:?} {p} {order:?}"),
                &Case {
                    inputs: vec![random_input(&mut random, &shape)],
                    wants: vec![true],
                    build: &|graph, v| Ok(vec![ops::patchify(graph, v[0], p, order)?]),
                    twin: &cut,
                },
            );
            check(
                &format!("unpatchify {shape:?} {p} {order:?}"),
                &Case {
                    inputs: vec![random_input(&mut random, &patches)],
                    wants: vec![true],
                    build: &|graph, v| Ok(vec![ops::unpatchify(graph, v[0], p, order, [c, h, w])?]),
                    twin: &join,
                },
            );
            let mut graph = Graph::new();
            let image = graph.external("image", TensorType::f32(&shape));
            let cut = ops::patchify(&mut graph, image, p, order).expect("patches");
            let whole = ops::unpatchify(&mut graph, cut, p, order, [c, h, w]).expect("a picture");
            let data = random.vec(b * c * h * w);
            assert_eq!(run(&graph, &[("image", Data::F32(data.clone()))], &[whole])[0], data);
        }
    }
}

/// Rows normalised as on a processor or as on a card, and their statistics.
fn normalised(shape: &[usize], x: &[f32], cpu: bool) -> Vec<Vec<f32>> {
    let mut graph = Graph::new();
    let input = graph.external("x", TensorType::f32(shape));
    let (y, stats) = ops::normalise_patches(&mut graph, input).expect("rows");
    let gpu = gpu();
    let layout = Layout::of(&graph, &[y, stats], Caps { cpu, ..Caps::of(&gpu) }).expect("a layout");
    pollster::block_on(async {
        let mut externals = Externals::new();
        externals.allocate(&gpu, &graph).await.expect("memory");
        gpu.upload(externals.get("x").expect("x"), x);
        let plan = Plan::new(&gpu, &graph, &layout, &[y, stats], &externals).await.expect("a plan");
        plan.run(&gpu);
        let slices = [y, stats].map(|root| plan.slice(root).expect("a root").clone());
        let read = gpu.read("roots", &slices).await.expect("a readback");
        read.iter().map(|bytes| bytemuck::pod_collect_to_vec(bytes)).collect()
    })
}

#[test]
fn patches_are_normalised_one_by_one() {
    let mut random = Random(14);
    for shape in [vec![2, 3, 48], vec![5, 2], vec![130, 63], vec![1, 4, 768], vec![3, 65]] {
        let width = shape[shape.len() - 1];
        let mut x = random.vec(shape.iter().product());
        // A flat row and one far from zero.
        x[..width].fill(0.7);
        x[width..2 * width].iter_mut().for_each(|v| *v = 30.0 + *v * 0.1);
        for cpu in [false, true] {
            let got = normalised(&shape, &x, cpu);
            let [want, stats] = twins::normalise_patches(&twins::exact(&x), width);
            for (row, moments) in stats.chunks(2).enumerate() {
                let (mean, deviation) = (moments[0], moments[1]);
                assert!((f64::from(got[1][row * 2]) - mean).abs() < 3e-6 * (1.0 + mean.abs()), "mean of {row}");
                assert!((f64::from(got[1][row * 2 + 1]) / deviation - 1.0).abs() < 1e-5, "deviation of {row}");
                for (got, want) in got[0][row * width..].iter().zip(&want[row * width..][..width]) {
                    // An error of the mean, divided by the deviation.
                    let slack = 3e-6 * (1.0 + mean.abs() / deviation);
                    assert!((f64::from(*got) - want).abs() < slack, "{shape:?} row {row}: {got}, not {want}");
                }
            }
            assert_eq!(got, normalised(&shape, &x, cpu), "the same again");
        }
    }
    // The example of the reference (unbiased variance).
    let got = normalised(&[1, 4], &[1.0, 2.0, 3.0, 4.0], false);
    assert!((got[0][3] - 1.161_894_7).abs() < 1e-6);
}

#[test]
fn previews_show_four_panels() {
    let mut random = Random(15);
    for (batch, side, p, denormalise) in [(2, 12, 4, false), (1, 15, 5, true), (3, 8, 8, true), (2, 6, 1, false)] {
        let patches = (side / p) * (side / p);
        let mut graph = Graph::new();
        let image = graph.external("image", TensorType::f32(&[batch, 3, side, side]));
        let pred = graph.external("pred", TensorType::f32(&[batch, patches, p * p * 3]));
        let mask = graph.external("mask", TensorType::f32(&[batch, patches]));
        let stats = denormalise.then(|| graph.external("stats", TensorType::f32(&[batch * patches, 2])));
        let strip = ops::preview(&mut graph, image, pred, mask, stats, p, PixelNorm::default()).expect("a strip");
        assert_eq!(graph.shape(strip), [batch, side, ops::PANELS * side]);
        let pixels: Vec<f32> = (0..batch * 3 * side * side).map(|_| random.signed() * 3.0).collect();
        let predictions: Vec<f32> = (0..batch * patches * p * p * 3).map(|_| random.signed() * 3.0).collect();
        let hidden: Vec<f32> = (0..batch * patches).map(|_| random.below(2) as f32).collect();
        let moments = random.vec(batch * patches * 2);
        let mut inputs = vec![
            ("image", Data::F32(pixels.clone())),
            ("pred", Data::F32(predictions.clone())),
            ("mask", Data::F32(hidden.clone())),
        ];
        inputs.extend(denormalise.then(|| ("stats", Data::F32(moments.clone()))));
        let got = run_bits(&graph, &inputs, &[strip]).remove(0);
        let [pixels, predictions, hidden, moments] = [pixels, predictions, hidden, moments].map(|x| twins::exact(&x));
        let stats = denormalise.then_some(moments.as_slice());
        let want = twins::preview(&pixels, &predictions, &hidden, stats, [side, p]);
        assert_eq!(got.len(), want.len());
        for (i, (word, want)) in got.iter().zip(&want).enumerate() {
            assert_eq!(word >> 24, 255);
            for (c, want) in want.iter().enumerate() {
                let got = f64::from(word >> (8 * c) & 255);
                assert!((got - want).abs() < 0.5001, "colour {c} of pixel {i} of the strips: {got}, not {want}");
            }
        }
    }
}
