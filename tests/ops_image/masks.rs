//! Noise and ranks.

use unmask::eval::kernels::twins::draws::{hidden_rows, mask_noise, mask_rank};
use unmask::graph::{Graph, TensorType};
use unmask::ops::{self, MaskNoise, MaskStrategy};

use crate::common::{Data, Random, run, run_bits};
use crate::step;

/// Noise and which patches get hidden by it.
fn masks(op: MaskNoise, at: Data) -> (Vec<f32>, Vec<Vec<bool>>) {
    let mut graph = Graph::new();
    let step = graph.external("step", TensorType::u32(&[4]));
    let noise = graph.add1(op, &[step]).expect("noise");
    let patches = op.grid * op.grid;
    let (_, _, mask) = ops::mask_rank(&mut graph, noise, patches - op.hidden).expect("a mask");
    let mut got = run(&graph, &[("step", at)], &[noise, mask]);
    let mask = got.pop().expect("a mask").chunks(patches).map(|m| m.iter().map(|v| *v == 1.0).collect()).collect();
    (got.pop().expect("noise"), mask)
}

#[test]
fn every_strategy_hides_as_many_as_asked_for() {
    for strategy in MaskStrategy::ALL {
        for (grid, hidden) in [(14, 147), (14, 98), (16, 192), (7, 36), (5, 1), (3, 8), (2, 3), (1, 0), (20, 380)] {
            let op = MaskNoise { strategy, batch: 9, grid, hidden };
            let (noise, masks) = masks(op, step(11, 5));
            assert_eq!(noise, mask_noise(&op, [11, 5, 0, 0]), "{op:?}");
            for mask in masks {
                assert_eq!(mask.iter().filter(|hidden| **hidden).count(), hidden, "{op:?}");
            }
        }
        let op = MaskNoise { strategy, batch: 4, grid: 14, hidden: 147 };
        let (first, _) = masks(op, step(1, 1));
        assert_eq!(first, masks(op, step(1, 1)).0, "the same again");
        assert_ne!(first, masks(op, step(1, 2)).0, "another step");
        assert_ne!(first, masks(op, step(2, 1)).0, "another seed");
        assert_ne!(first[..196], first[196..392], "another picture");
    }
    for strategy in MaskStrategy::ALL {
        let op = |batch| MaskNoise { strategy, batch, grid: 7, hidden: 36 };
        let (whole, part) = (masks(op(5), step(1, 1)).0, masks(op(2), Data::U32(vec![1, 1, 0, 3])).0);
        assert_eq!(whole[3 * 49..], part, "a batch in parts");
    }
    let (noise, _) = masks(MaskNoise { strategy: MaskStrategy::Random, batch: 100, grid: 14, hidden: 147 }, step(3, 3));
    let mean = noise.iter().map(|v| f64::from(*v)).sum::<f64>() / noise.len() as f64;
    assert!((mean - 0.5).abs() < 0.01 && noise.iter().all(|v| (0.0..1.0).contains(v)));
}

#[test]
fn blocks_are_blocky() {
    let neighbours = |strategy| -> f64 {
        let (_, masks) = masks(MaskNoise { strategy, batch: 200, grid: 14, hidden: 98 }, step(2, 9));
        let count = |mask: &Vec<bool>| -> usize {
            let pair = |i: usize, j: usize| usize::from(mask[i] && mask[j]);
            (0..196).map(|i| if i % 14 < 13 { pair(i, i + 1) } else { 0 }).sum::<usize>()
                + (0..182).map(|i| pair(i, i + 14)).sum::<usize>()
        };
        masks.iter().map(count).sum::<usize>() as f64 / 200.0
    };
    // Of 364 pairs a quarter are hidden by chance.
    let (random, block) = (neighbours(MaskStrategy::Random), neighbours(MaskStrategy::Block));
    assert!((random - 91.0).abs() < 4.0, "{random}");
    assert!(block > 1.6 * random, "{block} against {random}");
}

#[test]
fn the_grid_keeps_one_of_four() {
    for (grid, hidden) in [(14, 147), (16, 192), (7, 33)] {
        let (_, masks) = masks(MaskNoise { strategy: MaskStrategy::Grid, batch: 5, grid, hidden }, step(1, 4));
        for mask in masks {
            for (place, hidden) in mask.iter().enumerate() {
                assert_eq!(*hidden, place / grid % 2 == 1 || place % grid % 2 == 1, "{place} of {grid} x {grid}");
            }
        }
    }
}

#[test]
fn ranks_are_those_of_a_stable_sort() {
    let mut random = Random(12);
    for (batch, patches, visible) in [(1, 1, 1), (3, 5, 2), (2, 64, 64), (4, 196, 49), (2, 300, 75), (1, 1000, 1)] {
        let mut graph = Graph::new();
        let noise_var = graph.external("noise", TensorType::f32(&[batch, patches]));
        let (restore, keep, mask) = ops::mask_rank(&mut graph, noise_var, visible).expect("ranks");
        // Few values, so many ties.
        let noise: Vec<f32> = (0..batch * patches).map(|_| random.below(patches.div_ceil(3)) as f32 / 7.0).collect();
        let got = run_bits(&graph, &[("noise", Data::F32(noise.clone()))], &[restore, keep, mask]);
        let want = mask_rank(&noise, patches, visible);
        assert_eq!((&got[0], &got[1]), (&want.ids_restore, &want.ids_keep));
        assert_eq!(got[2], want.mask.iter().map(|x| x.to_bits()).collect::<Vec<u32>>());
    }
}

#[test]
fn hidden_tokens_are_those_behind_the_visible_ones() {
    for (batch, patches, visible) in [(1, 2, 1), (3, 5, 2), (4, 196, 49), (2, 300, 299)] {
        let mut random = Random(13);
        let noise: Vec<f32> = (0..batch * patches).map(|_| random.below(1000) as f32).collect();
        let restore = mask_rank(&noise, patches, visible).ids_restore;
        let mut graph = Graph::new();
        let restore_var = graph.external("restore", TensorType::u32(&[batch, patches]));
        let hidden = ops::hidden_rows(&mut graph, restore_var, visible).expect("hidden rows");
        let roots = [hidden.rows, hidden.patches, hidden.inverse, hidden.one];
        let got = run_bits(&graph, &[("restore", Data::U32(restore.clone()))], &roots);
        let want = hidden_rows(&restore, patches, visible);
        assert_eq!((&got[0], &got[1], &got[2]), (&want.rows, &want.patches, &want.inverse));
        assert!(got[3].len() == batch * (patches - visible) && got[3].iter().all(|bits| *bits == 1f32.to_bits()));
    }
}
