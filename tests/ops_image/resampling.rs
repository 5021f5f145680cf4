//! Cut, resized, flipped, normalised.

use std::collections::HashSet;

use unmask::eval::kernels::twins;
use unmask::graph::{Graph, TensorType};
use unmask::ops::{self, PixelNorm};

use crate::common::{Data, Random, gpu, run};

/// Pictures `(width, height, RGBX words)` with boxes, resampled.
fn resampled(pictures: &[(usize, usize, Vec<u32>)], boxes: &[[f32; 8]], side: usize, max_height: usize) -> Vec<f32> {
    let slot = pictures.iter().map(|(_, _, pixels)| pixels.len()).max().expect("a picture") + 3;
    let batch = pictures.len();
    let mut graph = Graph::new();
    let pixels = graph.external("pixels", TensorType::u32(&[batch, slot]));
    let sizes = graph.external("sizes", TensorType::u32(&[batch, 4]));
    let boxes_var = graph.external("boxes", TensorType::f32(&[batch, 8]));
    let image =
        ops::resample(&mut graph, pixels, sizes, boxes_var, side, max_height, PixelNorm::default()).expect("an image");
    let mut words = vec![0xffff_ffff; batch * slot];
    for (slot, (_, _, pixels)) in words.chunks_mut(slot).zip(pictures) {
        slot[..pixels.len()].copy_from_slice(pixels);
    }
    let size_words = pictures.iter().flat_map(|(w, h, _)| [*w as u32, *h as u32, 0, 0]).collect();
    let inputs = [
        ("pixels", Data::U32(words)),
        ("sizes", Data::U32(size_words)),
        ("boxes", Data::F32(boxes.iter().flatten().copied().collect())),
    ];
    run(&graph, &inputs, &[image]).remove(0)
}

fn picture(random: &mut Random, width: usize, height: usize) -> (usize, usize, Vec<u32>) {
    (width, height, (0..width * height).map(|_| random.bits()).collect())
}

#[test]
fn resampling_weighs_as_pillow_does() {
    let mut random = Random(4);
    let pictures: Vec<_> = [(40, 33), (64, 64), (7, 5), (1, 1), (97, 30), (16, 61), (50, 50), (300, 90)]
        .map(|(w, h)| picture(&mut random, w, h))
        .into();
    let cuts = [
        [3.0, 2.0, 30.0, 25.0, 0.0],
        [0.0, 0.0, 64.0, 64.0, 1.0],
        [0.0, 0.0, 7.0, 5.0, 0.0],
        [0.0, 0.0, 1.0, 1.0, 1.0],
        [60.0, 0.0, 37.0, 30.0, 1.0],
        [0.0, 1.0, 16.0, 60.0, 0.0],
        [49.0, 20.0, 1.0, 30.0, 0.0],
        [0.0, 0.0, 300.0, 90.0, 1.0],
    ]
    .map(|[x, y, w, h, flip]| [x, y, w, h, flip, 0.0, 0.0, 0.0]);
    for side in [1, 16, 31, 64] {
        let got = resampled(&pictures, &cuts, side, 90);
        for (index, got) in got.chunks(3 * side * side).enumerate() {
            let (width, _, pixels) = &pictures[index];
            let want = twins::resample(*width, pixels, &cuts[index], side);
            let error = got.iter().zip(&want).map(|(g, w)| (f64::from(*g) - w).abs()).fold(0.0, f64::max);
            assert!(error < 1e-5, "picture {index} to {side}: off by {error:.2e}");
        }
        assert_eq!(got, resampled(&pictures, &cuts, side, 90), "the same again");
    }
}

#[test]
fn a_box_of_the_right_size_passes_to_the_bit() {
    let mut random = Random(6);
    let pictures = [picture(&mut random, 64, 64), picture(&mut random, 101, 77)];
    let cuts = [[0.0, 0.0, 64.0, 64.0, 0.0, 0.0, 0.0, 0.0], [37.0, 13.0, 64.0, 64.0, 1.0, 0.0, 0.0, 0.0]];
    let got = resampled(&pictures, &cuts, 64, 64);
    // On a card, division may be off by a rounding, but alike for like colours.
    let slack = if gpu().is_cpu() { 0.0 } else { 4e-7 };
    let mut values: HashSet<(usize, u32, u32)> = HashSet::new();
    for (i, got) in got.iter().enumerate() {
        let (column, row, channel, b) = (i % 64, i / 64 % 64, i / 4096 % 3, i / 4096 / 3);
        let (width, _, pixels) = &pictures[b];
        let at = if b == 0 { row * 64 + column } else { (13 + row) * width + 37 + 63 - column };
        let byte = pixels[at] >> (8 * channel) & 255;
        let want = (byte as f32 / 255.0 - ops::PIXEL_MEAN[channel]) / ops::PIXEL_STD[channel];
        assert!((got - want).abs() <= slack, "picture {b}, channel {channel}, {row}, {column}: {got}, not {want}");
        values.insert((channel, byte, got.to_bits()));
    }
    assert!(values.len() <= 3 * 256, "one value a colour");
}

#[test]
fn boxes_are_cut_to_their_pictures() {
    let mut random = Random(8);
    let pictures = [picture(&mut random, 60, 50), picture(&mut random, 20, 40)];
    let pad = |[x, y, w, h]: [f32; 4]| [x, y, w, h, 0.0, 0.0, 0.0, 0.0];
    let beyond = [[50.0, 40.0, 100.0, 100.0], [0.0, 0.0, 20.0, 40.0]].map(pad);
    let within = [[50.0, 40.0, 10.0, 10.0], [0.0, 0.0, 20.0, 30.0]].map(pad);
    assert_eq!(resampled(&pictures, &beyond, 12, 30), resampled(&pictures, &within, 12, 30));
}
