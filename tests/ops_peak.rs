//! The kernels that measure an adapter compute what they should, so that no compiler has left anything out.

mod common;

use common::{Random, assert_close, gpu};
use unmask::eval::kernels::{poison, twins};
use unmask::gpu::{BufferSlice, DispatchList, Uploads};
use unmask::ops::{Peak, push_peak_copy, push_peak_fma};

/// Words around what a kernel may touch.
const MARGIN: u64 = 64;

/// A poisoned buffer, its middle of `words` words, and all its words before a kernel ran.
fn surrounded(random: &mut Random, words: u64) -> (BufferSlice, BufferSlice, Vec<u32>) {
    let gpu = gpu();
    let all = pollster::block_on(gpu.buffer("surrounded", (words + 2 * MARGIN) * 4)).expect("memory");
    poison(&gpu, &all, random);
    let before = pollster::block_on(gpu.read_one("before", &all)).expect("a readback");
    (all.clone(), all.part(MARGIN * 4, words * 4), before)
}

/// The middle of `all` after `list` ran, with its surroundings as they were.
fn middle(list: &DispatchList, all: &BufferSlice, before: &[u32]) -> Vec<u32> {
    let gpu = gpu();
    list.run(&gpu);
    let after: Vec<u32> = pollster::block_on(gpu.read_one("after", all)).expect("a readback");
    let (margin, end) = (MARGIN as usize, after.len() - MARGIN as usize);
    assert_eq!(after[..margin], before[..margin]);
    assert_eq!(after[end..], before[end..]);
    after[margin..end].to_vec()
}

#[test]
fn chains_of_multiply_adds_reach_what_they_should() {
    let mut random = Random(1);
    for (length, rounds) in [(1u64, 1), (63, 0), (64, 3), (1000, 40)] {
        let (all, out, before) = surrounded(&mut random, length);
        let mut list = DispatchList::default();
        push_peak_fma(&gpu(), &mut list, &out, rounds).expect("a kernel");
        let got: Vec<f32> = middle(&list, &all, &before).into_iter().map(f32::from_bits).collect();
        let want = twins::peak_fma(length, rounds);
        assert_close(&format!("{length} chains of {rounds} rounds"), &got, &want, 1e-5);
    }
}

#[test]
fn a_copy_is_the_same_bits_and_no_more() {
    let gpu = gpu();
    let mut random = Random(2);
    for vectors in [1u64, 255, 257, 5000] {
        let words: Vec<u32> = (0..vectors * 4).map(|_| random.bits()).collect();
        let from = pollster::block_on(gpu.buffer("from", vectors * 16)).expect("memory");
        gpu.upload(&from, &words);
        let (all, to, before) = surrounded(&mut random, vectors * 4);
        let mut list = DispatchList::default();
        push_peak_copy(&gpu, &mut list, &from, &to).expect("a kernel");
        assert_eq!(middle(&list, &all, &before), words, "{vectors} vectors");
    }
}

#[test]
fn a_peak_is_measured() {
    let peak = pollster::block_on(Peak::measure(&gpu())).expect("a measurement").expect("a clock");
    println!("{peak:?}");
    assert!(peak.gflops > 0.0 && peak.gflops.is_finite());
    assert!(peak.gbytes_per_s > 0.0 && peak.gbytes_per_s.is_finite());
}
