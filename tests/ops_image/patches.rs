//! Patches, their normalisation, previews.

use unmask::gpu::Uploads;
use unmask::graph::{Caps, Externals, Graph, Layout, Plan, TensorType};
use unmask::ops::{self, PatchOrder};

use crate::common::{Case, Data, Random, check, gpu, random_input, run, run_bits};

/// For each number of the patches of `[b, c, h, w]`, its index in the picture.
fn patch_sources([b, c, h, w]: [usize; 4], p: usize, order: PatchOrder) -> Vec<usize> {
    let mut sources = Vec::new();
    for (n, top, left) in (0..b).flat_map(|n| (0..h / p).flat_map(move |r| (0..w / p).map(move |q| (n, r * p, q * p))))
    {
        let mut push = |ch: usize, i: usize, j: usize| sources.push(((n * c + ch) * h + top + i) * w + left + j);
        match order {
            PatchOrder::RowColumnChannel => {
                (0..p * p * c).for_each(|k| push(k % c, k / c / p, k / c % p));
            }
            PatchOrder::ChannelRowColumn => {
                (0..p * p * c).for_each(|k| push(k / (p * p), k / p % p, k % p));
            }
        }
    }
    sources
}

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
            for (row, x) in x.chunks(width).enumerate() {
                let n = width as f64;
                let mean = x.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
                let variance = x.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / (n - 1.0);
                let deviation = (variance + 1e-6).sqrt();
                assert!((f64::from(got[1][row * 2]) - mean).abs() < 3e-6 * (1.0 + mean.abs()), "mean of {row}");
                assert!((f64::from(got[1][row * 2 + 1]) / deviation - 1.0).abs() < 1e-5, "deviation of {row}");
                for (got, x) in got[0][row * width..].iter().zip(x) {
                    let want = (f64::from(*x) - mean) / deviation;
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
        let strip = ops::preview(&mut graph, image, pred, mask, stats, p).expect("a strip");
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
        let byte = |v: f64, c: usize| -> f64 {
            (v * f64::from(ops::PIXEL_STD[c]) + f64::from(ops::PIXEL_MEAN[c])).clamp(0.0, 1.0) * 255.0
        };
        // Position of each number of the predictions in the picture, turned around.
        let sources = patch_sources([batch, 3, side, side], p, PatchOrder::RowColumnChannel);
        for (k, at) in sources.iter().enumerate() {
            let (x, y, c, b) = (at % side, at / side % side, at / side / side % 3, at / side / side / 3);
            let number = k / (p * p * 3);
            let value = f64::from(predictions[k]);
            let (mean, deviation) = (f64::from(moments[2 * number]), f64::from(moments[2 * number + 1]));
            let rebuilt = byte(if denormalise { value * deviation + mean } else { value }, c);
            let original = byte(f64::from(pixels[*at]), c);
            let gone = hidden[number] == 1.0;
            let want = [if gone { 128.0 } else { original }, rebuilt, if gone { rebuilt } else { original }, original];
            for (panel, want) in want.into_iter().enumerate() {
                let word = got[((b * side + y) * ops::PANELS + panel) * side + x];
                assert_eq!(word >> 24, 255);
                let got = f64::from(word >> (8 * c) & 255);
                assert!((got - want).abs() < 0.5001, "panel {panel} at {x}, {y}, {c}: {got}, not {want}");
            }
        }
    }
}
