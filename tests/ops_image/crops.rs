//! Where pictures are cut.

use unmask::eval::kernels::twins::draws::crop_box;
use unmask::graph::{Graph, TensorType};
use unmask::ops::{self, CropMode};

use crate::common::{Data, Random, run};
use crate::step;

/// Boxes of pictures of `sizes`.
fn boxes(sizes: &[[u32; 2]], at: Data, mode: CropMode) -> Vec<[f32; 8]> {
    let mut graph = Graph::new();
    let sizes_var = graph.external("sizes", TensorType::u32(&[sizes.len(), 4]));
    let step_var = graph.external("step", TensorType::u32(&[4]));
    let boxes = ops::crop_boxes(&mut graph, sizes_var, step_var, mode).expect("boxes");
    let words: Vec<u32> = sizes.iter().enumerate().flat_map(|(i, [w, h])| [*w, *h, i as u32, 0]).collect();
    let got = run(&graph, &[("sizes", Data::U32(words)), ("step", at)], &[boxes]);
    got[0].chunks(8).map(|b| b.try_into().expect("8 numbers")).collect()
}

#[test]
fn random_crops_are_those_of_their_twin() {
    let mut random = Random(1);
    let mut sizes: Vec<[u32; 2]> =
        (0..200).map(|_| [1 + random.below(700) as u32, 1 + random.below(700) as u32]).collect();
    // Tiny ones, ones where no try fits, and the longest sides.
    sizes.extend([[1, 1], [2, 3], [1000, 10], [9, 1200], [16384, 16383], [65535, 40], [3, 65535]]);
    for number in [0, 1, 77] {
        let got = boxes(&sizes, step(42, number), CropMode::PAPER);
        for (index, (got, size)) in got.iter().zip(&sizes).enumerate() {
            assert_eq!(
                *got,
                crop_box(CropMode::PAPER, *size, [42, number, 0, 0], index),
                "picture {index} of {size:?}"
            );
        }
    }
}

#[test]
fn random_crops_are_distributed_as_in_the_paper() {
    let size = [400, 300];
    let all: Vec<[f32; 8]> = (0..8).flat_map(|n| boxes(&[size; 256], step(7, n), CropMode::PAPER)).collect();
    let count = all.len() as f64;
    let mean = |f: &dyn Fn(&[f32; 8]) -> f64| all.iter().map(f).sum::<f64>() / count;
    for [x, y, w, h, flip, ..] in &all {
        assert!(*x >= 0.0 && *y >= 0.0 && x + w <= 400.0 && y + h <= 300.0, "{x} {y} {w} {h}");
        assert!([x, y, w, h].iter().all(|v| v.fract() == 0.0) && (*flip == 0.0 || *flip == 1.0));
        assert!(w * h > 0.19 * 120_000.0 && w / h > 0.74 && w / h < 1.35, "{w} x {h}");
    }
    assert!((mean(&|b| f64::from(b[4])) - 0.5).abs() < 0.04, "flips");
    // Positions fill their range.
    assert!((mean(&|b| f64::from(b[0]) / f64::from(400.0 - b[2]).max(1.0)) - 0.5).abs() < 0.04, "x");
    assert!((mean(&|b| f64::from(b[1]) / f64::from(300.0 - b[3]).max(1.0)) - 0.5).abs() < 0.06, "y");

    // Torchvision's algorithm on numbers of its own.
    let mut other = Random(3);
    let mut unit = || f64::from(other.bits()) / 4294967296.0;
    let (mut share, mut aspect) = (0.0, 0.0);
    for _ in 0..20_000 {
        let (w, h) = loop {
            let area = 120_000.0 * (0.2 + 0.8 * unit());
            let ratio = 0.75 * (16.0f64 / 9.0).powf(unit());
            let (w, h) = ((area * ratio).sqrt().round(), (area / ratio).sqrt().round());
            if w <= 400.0 && h <= 300.0 {
                break (w, h);
            }
        };
        share += w * h / 120_000.0 / 20_000.0;
        aspect += (w / h).ln() / 20_000.0;
    }
    assert!((mean(&|b| f64::from(b[2] * b[3]) / 120_000.0) - share).abs() < 0.015, "mean share {share}");
    assert!((mean(&|b| f64::from(b[2] / b[3]).ln()) - aspect).abs() < 0.012, "mean log aspect {aspect}");

    let again: Vec<[f32; 8]> = (0..8).flat_map(|n| boxes(&[size; 256], step(7, n), CropMode::PAPER)).collect();
    assert_eq!(all, again, "the same seed and step, the same boxes");
    assert_ne!(all[..256], boxes(&[size; 256], step(8, 0), CropMode::PAPER), "another seed");
    assert_ne!(all[..256], all[256..512], "another step");
    assert_ne!(all[..256], boxes(&[size; 256], Data::U32(vec![7, 0, 1, 0]), CropMode::PAPER), "another stream");
}

#[test]
fn no_box_is_taller_than_is_told() {
    for size in [[160, 480], [480, 160], [213, 160], [161, 240], [7, 21], [3, 1]] {
        let short = size[0].min(size[1]) as usize;
        for mode in [CropMode::PAPER, CropMode::CentreSquare, CropMode::Whole] {
            let most = mode.most_rows(size[1] as usize, short);
            let tallest = boxes(&[size; 512], step(11, 3), mode).iter().map(|cut| cut[3] as usize).max();
            assert!(tallest.is_some_and(|tallest| tallest <= most), "{size:?} {mode:?}: {tallest:?} of {most}");
        }
    }
    assert_eq!(CropMode::PAPER.most_rows(480, 160), 216);
}

#[test]
fn crops_without_chance() {
    let sizes = [[10, 7], [7, 10], [5, 5], [64, 1]];
    let squares = boxes(&sizes, step(1, 1), CropMode::CentreSquare);
    let want = [[1.0, 0.0, 7.0, 7.0], [0.0, 1.0, 7.0, 7.0], [0.0, 0.0, 5.0, 5.0], [31.0, 0.0, 1.0, 1.0]];
    for ((got, want), whole) in squares.iter().zip(want).zip(boxes(&sizes, step(1, 1), CropMode::Whole)) {
        assert_eq!(got[..4], want);
        assert_eq!(got[4..], [0.0; 4]);
        assert_eq!(whole[..2], [0.0; 2]);
        assert_eq!(whole[4..], [0.0; 4]);
    }
    let whole = boxes(&[[640, 1]], step(1, 1), CropMode::Whole);
    assert_eq!(whole[0], [0.0, 0.0, 640.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    let identity = CropMode::Random { scale: [1.0; 2], ratio: [1.0; 2], flip: false };
    assert!(boxes(&[[64, 64]; 50], step(1, 1), identity).iter().all(|b| b[..5] == [0.0, 0.0, 64.0, 64.0, 0.0]));
}
