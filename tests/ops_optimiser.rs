//! The passes over flat shards and what feeds them: AdamW, the norm of all gradients, accumulation, fill.

mod common;

use common::{Random, assert_close, gpu_as, run_on};
use unmask::eval::kernels::{garbage, twins};
use unmask::gpu::{BufferSlice, DispatchList, Gpu, Uploads};
use unmask::graph::Graph;
use unmask::ops::{self, AdamW, AdamWShard, DECAY_BLOCK, LossScaling};

/// Words of garbage on either side of a shard: what any adapter can bind from.
const GUARD: usize = 64;

/// A shard with garbage around it that no kernel may touch.
struct Guarded {
    whole: BufferSlice,
    inner: BufferSlice,
    around: Vec<u32>,
}

impl Guarded {
    fn new(gpu: &Gpu, random: &mut Random, words: usize) -> Guarded {
        let around = garbage(random, words + 2 * GUARD);
        let whole = pollster::block_on(gpu.buffer("guarded", around.len() as u64 * 4)).expect("memory");
        gpu.upload(&whole, &around);
        Guarded { inner: whole.part(GUARD as u64 * 4, words as u64 * 4), whole, around }
    }

    fn holding<T: bytemuck::NoUninit>(gpu: &Gpu, random: &mut Random, values: &[T]) -> Guarded {
        let guarded = Guarded::new(gpu, random, values.len());
        gpu.upload(&guarded.inner, values);
        guarded
    }

    /// The content, once the surroundings are seen to be as they were.
    fn words(&self, gpu: &Gpu) -> Vec<u32> {
        let all = pollster::block_on(gpu.read("guarded", std::slice::from_ref(&self.whole))).expect("a readback");
        let all: Vec<u32> = bytemuck::pod_collect_to_vec(&all[0]);
        let end = all.len() - GUARD;
        assert!(all[..GUARD] == self.around[..GUARD] && all[end..] == self.around[end..], "written out of bounds");
        all[GUARD..end].to_vec()
    }

    fn read(&self, gpu: &Gpu) -> Vec<f32> {
        self.words(gpu).into_iter().map(f32::from_bits).collect()
    }
}

fn widened(random: &mut Random, n: usize, scale: f32) -> Vec<f32> {
    random.vec(n).iter().map(|x| x * scale).collect()
}

/// Shards of AdamW with what their twins know.
struct Shard {
    memory: [Guarded; 5],
    twin: twins::AdamWState,
    decays: Vec<u32>,
}

impl Shard {
    fn new(gpu: &Gpu, random: &mut Random, length: usize) -> Shard {
        let weights = random.vec(length);
        let first = widened(random, length, 0.1);
        let second: Vec<f32> = random.vec(length).iter().map(|x| x * x * 0.01).collect();
        let decays: Vec<u32> = (0..length.div_ceil(DECAY_BLOCK)).map(|_| random.below(2) as u32).collect();
        let twin = twins::AdamWState {
            weights: twins::exact(&weights),
            first: twins::exact(&first),
            second: twins::exact(&second),
        };
        let memory = [
            Guarded::holding(gpu, random, &weights),
            Guarded::new(gpu, random, length),
            Guarded::holding(gpu, random, &first),
            Guarded::holding(gpu, random, &second),
            Guarded::holding(gpu, random, &decays),
        ];
        Shard { memory, twin, decays }
    }

    fn slices(&self) -> AdamWShard {
        let [weights, gradients, first, second, decays] = self.memory.each_ref().map(|memory| memory.inner.clone());
        AdamWShard { weights, gradients, first, second, decays, halves: None }
    }

    fn check(&self, gpu: &Gpu, what: &str) {
        let [weights, _, first, second, decays] = &self.memory;
        assert_close(&format!("{what}, first moments"), &first.read(gpu), &self.twin.first, 2e-6);
        assert_close(&format!("{what}, second moments"), &second.read(gpu), &self.twin.second, 2e-6);
        assert_close(&format!("{what}, weights"), &weights.read(gpu), &self.twin.weights, 2e-6);
        assert_eq!(decays.words(gpu), self.decays, "{what}");
    }
}

/// Several steps over several shards: norm, clipping, update.
fn train(processor: bool, adamw: AdamW, lengths: &[usize], max_norm: f32, seed: u64) {
    let gpu = &gpu_as(processor);
    let random = &mut Random(seed);
    let mut shards: Vec<Shard> = lengths.iter().map(|length| Shard::new(gpu, random, *length)).collect();
    let partials = Guarded::new(gpu, random, ops::global_norm_partials(lengths));
    let (norm, schedule) = (Guarded::new(gpu, random, 4), Guarded::new(gpu, random, 4));
    let mut list = DispatchList::default();
    let gradients: Vec<BufferSlice> = shards.iter().map(|shard| shard.memory[1].inner.clone()).collect();
    ops::push_global_norm(gpu, &mut list, &gradients, &partials.inner, &norm.inner, max_norm, None).expect("a norm");
    for shard in &shards {
        adamw.push(gpu, &mut list, &shard.slices(), &schedule.inner, &norm.inner).expect("a step");
    }
    for t in 1..=4 {
        let lr = 0.02 / t as f64;
        // Large at first, then so small that nothing is clipped.
        let gradients: Vec<Vec<f32>> =
            lengths.iter().map(|length| widened(random, *length, [3.0, 1.0, 0.01, 1e-4][t as usize - 1])).collect();
        for (shard, gradients) in shards.iter().zip(&gradients) {
            gpu.upload(&shard.memory[1].inner, gradients);
        }
        gpu.upload(&schedule.inner, &adamw.schedule(lr, t));
        list.run(gpu);

        let what = format!("{lengths:?}, {adamw:?}, clipped to {max_norm}, step {t}, processor {processor}");
        let exact: Vec<Vec<f64>> = gradients.iter().map(|gradients| twins::exact(gradients)).collect();
        let want = twins::global_norm(&exact, f64::from(max_norm));
        let got = norm.read(gpu);
        assert_close(&format!("{what}, norm"), &got[..2], &want, 1e-6);
        assert_eq!(got[2], 1.0, "{what}");
        for (shard, gradients) in shards.iter_mut().zip(&exact) {
            twins::adamw(&adamw, &mut shard.twin, gradients, &shard.decays, (lr, t, want[1]));
            shard.check(gpu, &what);
        }
        partials.read(gpu);
        schedule.read(gpu);
    }
}

#[test]
fn adamw_steps_agree_with_their_twin() {
    let torch = AdamW { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.3 };
    let still = AdamW { beta1: 0.0, beta2: 0.5, eps: 1e-3, weight_decay: 0.0 };
    for processor in [true, false] {
        // Vectors of four that fill neither a block of decay flags nor a workgroup.
        for (seed, lengths) in
            [&[4usize][..], &[60, 68], &[1028, 64, 20_004], &[16_384, 16_388, 32_772]].iter().enumerate()
        {
            train(processor, AdamW::default(), lengths, 0.0, seed as u64);
            train(processor, torch, lengths, 1.0, 10 + seed as u64);
        }
        train(processor, still, &[260, 1024], 0.25, 20);
    }
}

#[test]
fn without_gradients_adamw_only_decays() {
    let gpu = &gpu_as(true);
    let random = &mut Random(3);
    let mut shard = Shard::new(gpu, random, 4 * DECAY_BLOCK);
    shard.decays = vec![1, 0, 7, 0];
    gpu.upload(&shard.memory[4].inner, &shard.decays);
    for (index, zero) in [(1, vec![0f32; 256]), (2, vec![0f32; 256])] {
        gpu.upload(&shard.memory[index].inner, &zero);
    }
    let before = shard.memory[0].read(gpu);
    let norm = Guarded::holding(gpu, random, &[0f32, 1.0, 1.0, 0.0]);
    let schedule = Guarded::holding(gpu, random, &AdamW::default().schedule(0.5, 1));
    let mut list = DispatchList::default();
    AdamW::default().push(gpu, &mut list, &shard.slices(), &schedule.inner, &norm.inner).expect("a step");
    list.run(gpu);
    for (i, (after, before)) in shard.memory[0].read(gpu).into_iter().zip(before).enumerate() {
        let want = if (i / DECAY_BLOCK).is_multiple_of(2) { before * (1.0 - 0.5 * 0.05) } else { before };
        assert!((after - want).abs() <= 1e-7 * want.abs(), "{i}: {after}, not {want}");
    }
}

#[test]
fn gradients_that_are_not_finite_change_nothing() {
    for (processor, poison) in [(true, f32::NAN), (false, f32::INFINITY), (true, f32::NEG_INFINITY), (false, 1e30)] {
        let gpu = &gpu_as(processor);
        let random = &mut Random(4);
        let shards = [100, 20_000].map(|length| Shard::new(gpu, random, length));
        for shard in &shards {
            gpu.upload(&shard.memory[1].inner, &random.vec(shard.twin.weights.len()));
        }
        let slices = shards.each_ref().map(|shard| shard.memory[1].inner.clone());
        gpu.upload(&slices[1].part(19_999 * 4, 4), &[poison]);
        let partials = Guarded::new(gpu, random, ops::global_norm_partials(&[100, 20_000]));
        let norm = Guarded::new(gpu, random, 4);
        let schedule = Guarded::holding(gpu, random, &AdamW::default().schedule(0.1, 1));
        let mut list = DispatchList::default();
        ops::push_global_norm(gpu, &mut list, &slices, &partials.inner, &norm.inner, 1.0, None).expect("a norm");
        let before = shards.each_ref().map(|shard| [0, 2, 3].map(|index: usize| shard.memory[index].words(gpu)));
        for shard in &shards {
            AdamW::default().push(gpu, &mut list, &shard.slices(), &schedule.inner, &norm.inner).expect("a step");
        }
        list.run(gpu);
        assert_eq!(norm.read(gpu)[2], 0.0, "{poison}");
        let after = shards.each_ref().map(|shard| [0, 2, 3].map(|index: usize| shard.memory[index].words(gpu)));
        assert!(before == after, "{poison} moved something");
    }
}

#[test]
fn norms_of_any_number_of_shards() {
    for processor in [true, false] {
        let gpu = &gpu_as(processor);
        let random = &mut Random(5);
        for lengths in [&[4usize][..], &[60, 4, 68], &[16_380, 16_384, 16_388], &[100_004, 8, 300_000]] {
            for max_norm in [0.0f32, 0.5, 1e6] {
                let values: Vec<Vec<f32>> = lengths.iter().map(|length| random.vec(*length)).collect();
                let shards: Vec<Guarded> = values.iter().map(|values| Guarded::holding(gpu, random, values)).collect();
                let slices: Vec<BufferSlice> = shards.iter().map(|shard| shard.inner.clone()).collect();
                let partials = Guarded::new(gpu, random, ops::global_norm_partials(lengths));
                let norm = Guarded::new(gpu, random, 4);
                let mut list = DispatchList::default();
                ops::push_global_norm(gpu, &mut list, &slices, &partials.inner, &norm.inner, max_norm, None)
                    .expect("a norm");
                list.run(gpu);
                let exact: Vec<Vec<f64>> = values.iter().map(|values| twins::exact(values)).collect();
                let got = norm.read(gpu);
                let want = twins::global_norm(&exact, f64::from(max_norm));
                assert_close(&format!("{lengths:?}, clipped to {max_norm}"), &got[..2], &want, 1e-6);
                assert_eq!(got[2], 1.0);
                assert!(want[1] <= 1.0 && (max_norm != 0.5 || lengths[0] == 4 || want[1] < 1.0));
                list.run(gpu);
                assert_eq!(norm.read(gpu)[..3], got[..3], "the same bits again");
                partials.read(gpu);
            }
        }
    }
}

#[test]
fn the_scale_of_the_loss_grows_after_500_steps_and_no_sooner() {
    for processor in [true, false] {
        let gpu = &gpu_as(processor);
        let random = &mut Random(8);
        let adamw = AdamW::default();
        let [gradients, state, schedule] = [64, 4, 4].map(|words| Guarded::new(gpu, random, words));
        gpu.upload(&gradients.inner, &random.vec(64));
        // 498 steps since the scale was last changed.
        gpu.upload(&state.inner, &[512.0f32, 498.0, 0.5, 0.25]);
        let partials = Guarded::new(gpu, random, ops::global_norm_partials(&[64]));
        let norm = Guarded::new(gpu, random, 4);
        let scaling =
            LossScaling { state: state.inner.clone(), schedule: schedule.inner.clone(), adamw, micro_batches: 2 };
        let mut list = DispatchList::default();
        let shards = [gradients.inner.clone()];
        ops::push_global_norm(gpu, &mut list, &shards, &partials.inner, &norm.inner, 0.0, Some(&scaling))
            .expect("a norm");
        // What each step finds as the scale, and what it leaves: the gradient of one of two losses, and steps.
        let wants =
            [(1024.0, [512.0, 499.0]), (1024.0, [1024.0, 0.0]), (2048.0, [1024.0, 1.0]), (2048.0, [512.0, 0.0])];
        for (step, (scale, left)) in wants.into_iter().enumerate() {
            if step == 3 {
                gpu.upload(&gradients.inner, &[f32::INFINITY; 64]);
            }
            list.run(gpu);
            assert_eq!(norm.read(gpu)[3], scale, "step {step}, processor {processor}");
            assert_eq!(state.read(gpu)[..2], left, "step {step}, processor {processor}");
        }
    }
}

#[test]
fn micro_batches_add_up() {
    for processor in [true, false] {
        let gpu = &gpu_as(processor);
        let random = &mut Random(6);
        for length in [1, 3, 255, 257, 5000] {
            let sum = Guarded::new(gpu, random, length);
            let mut want = vec![0f32; length];
            for part in 0..3 {
                let x = random.vec(length);
                // One rounding an addition, so the sums are the same to the bit.
                want.iter_mut().zip(&x).for_each(|(sum, x)| *sum += x);
                let x = Guarded::holding(gpu, random, &x);
                let mut list = DispatchList::default();
                ops::push_accumulate(gpu, &mut list, &x.inner, &sum.inner, part == 0).expect("a sum");
                list.run(gpu);
                assert_eq!(sum.read(gpu), want, "{length} numbers, part {part}, processor {processor}");
            }
        }
    }
}

#[test]
fn fills_have_one_value() {
    for processor in [true, false] {
        for (shape, value) in [(vec![1], 1.0), (vec![3, 5, 7], -0.25), (vec![257], 1e30), (vec![2, 300], 0.0)] {
            let mut graph = Graph::new();
            let y = ops::fill(&mut graph, &shape, value).expect("a tensor");
            let got = run_on(&gpu_as(processor), &graph, &[], &[y]);
            assert_eq!(got[0], vec![value; shape.iter().product()]);
        }
    }
}
