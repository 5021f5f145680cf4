//! What the settings of a recipe do in training: order, crops, masks and pixels, rates, decay, clipping, micro-batches and
//! averages, each against numbers that are worked out here.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{Random, assert_close};
use pollster::block_on;
use unmask::data::{DataError, Picture, Raw, Sampler, Source, Split};
use unmask::gpu::{Gpu, Uploads};
use unmask::graph::{Plan, TensorType};
use unmask::mae::{self, MaeConfig};
use unmask::nn::Builder;
use unmask::ops::{self, AdamW, CropMode, MaskNoise, MaskStrategy, PixelNorm};
use unmask::train::{
    Augment, Checkpoint, Explorer, Hidden, Pictures, Recipe, RunFolder, StepMetrics, Trainer, capped, find_runs,
};
use unmask::weights::{Tensor, Tensors};

/// Pictures of noise in main memory, of many sizes.
struct Noise(Vec<Picture>);

impl Noise {
    fn new(count: usize) -> Noise {
        let mut random = Random(9);
        let picture = |index: usize| {
            let (width, height) = (18 + index as u32 % 32, 27 - index as u32 % 16);
            let pixels = (0..width * height).flat_map(|_| [random.bits() as u8, random.bits() as u8, index as u8, 255]);
            Picture { name: format!("{index}"), width, height, pixels: pixels.collect() }
        };
        Noise((0..count).map(picture).collect())
    }
}

impl Source for Noise {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn name(&self, index: usize) -> &str {
        &self.0[index].name
    }

    fn read(&self, index: usize) -> Result<Raw<'_>, DataError> {
        Ok(Raw::Pixels(self.0[index].clone()))
    }
}

/// Pictures that are trained on here.
const COUNT: usize = 7;

/// A model of 16 patches that takes milliseconds a step, whose weights stay as they are unless a rate is set.
fn nano() -> Recipe {
    let mut recipe = Recipe::default();
    recipe.model = MaeConfig {
        image_size: 16,
        patch_size: 4,
        width: 16,
        depth: 1,
        heads: 2,
        decoder_width: 16,
        decoder_depth: 1,
        decoder_heads: 2,
        ..recipe.model
    };
    let t = &mut recipe.train;
    (t.batch, t.steps, t.warmup_steps, t.seed) = (4, 6, 0, 5);
    (t.blr, t.weight_decay) = (0.0, 0.0);
    recipe
}

/// Sets the learning rate of a recipe without warm-up at its first step.
fn set_rate(recipe: &mut Recipe, rate: f64) {
    recipe.train.blr = rate * 256.0 / recipe.effective_batch() as f64;
}

fn trainer(recipe: &Recipe, start: Option<&Checkpoint>) -> Trainer {
    let split = Split { train: (0..COUNT).collect(), held_out: Vec::new() };
    let trainer = Trainer::new(common::gpu(), recipe.clone(), Arc::new(Noise::new(COUNT)), &split, start);
    block_on(trainer).expect("a trainer")
}

fn step(trainer: &mut Trainer) -> StepMetrics {
    trainer.advance().expect("a step");
    let metrics = block_on(trainer.collect()).expect("metrics");
    assert_eq!(metrics.len(), 1);
    metrics[0]
}

fn state(trainer: &Trainer) -> Checkpoint {
    block_on(trainer.checkpoint()).expect("a checkpoint")
}

fn close(what: &str, got: &Tensors, want: &BTreeMap<String, Vec<f64>>, tolerance: f64) {
    assert!(got.tensors.keys().eq(want.keys()), "{what}: {:?}, not {:?}", got.tensors.keys(), want.keys());
    for (name, want) in want {
        assert_close(&format!("{what} of {name}"), &got.tensors[name].data, want, tolerance);
    }
}

/// `combine` of the numbers of `a` and `b`, one by one.
fn each(a: &Tensors, b: &Tensors, combine: impl Fn(f64, f64) -> f64) -> BTreeMap<String, Vec<f64>> {
    let numbers = |(name, a): (&String, &Tensor)| {
        let pairs = a.data.iter().zip(&b.tensors[name].data);
        (name.clone(), pairs.map(|(a, b)| combine(f64::from(*a), f64::from(*b))).collect())
    };
    a.tensors.iter().map(numbers).collect()
}

/// What of the weights is trained: all but the tables of positions.
fn trained(weights: &Tensors) -> Tensors {
    let mut weights = weights.clone();
    weights.tensors.retain(|name, _| !name.contains("pos_embed") && !name.contains("position_embeddings"));
    weights
}

/// What a model in training should see.
struct Seen {
    mode: CropMode,
    strategy: MaskStrategy,
    norm: PixelNorm,
}

/// The loss of the first step of `trainer`, whose seed is `seed`, from what the recipe should make of its pictures.
fn first_loss(trainer: &Trainer, seed: u32, seen: &Seen) -> f64 {
    let (gpu, config, slot) = (trainer.gpu(), &trainer.recipe().model, trainer.feed().slot());
    let (batch, patches) = (trainer.recipe().train.batch, config.patches());
    let mut b = Builder::new();
    let pixels = b.graph.external("pixels", TensorType::u32(&[batch, slot.words]));
    let sizes = b.graph.external("sizes", TensorType::u32(&[batch, 4]));
    let step = b.graph.external("step", TensorType::u32(&[4]));
    let boxes = ops::crop_boxes(&mut b.graph, sizes, step, seen.mode).expect("boxes");
    let side = config.image_size;
    let image = ops::resample(&mut b.graph, pixels, sizes, boxes, side, slot.rows, seen.norm).expect("images");
    let hidden = patches - config.visible();
    let noise = MaskNoise { strategy: seen.strategy, batch, grid: config.grid(), hidden };
    let noise = b.graph.add1(noise, &[step]).expect("noise");
    let masks = mae::given_masks(&mut b.graph, config, noise).expect("masks");
    let loss = mae::pretraining(&mut b, config, image, masks).expect("a loss");

    let mut externals = trainer.store().externals();
    let plan = block_on(Plan::build(gpu, &b.graph, &[loss], &mut externals)).expect("a plan");
    let input = |name: &str| externals.get(name).expect("an input");
    let sampler = Sampler::new(COUNT, u64::from(seed));
    let indices: Vec<usize> = (0..batch as u64).map(|sample| sampler.index(sample)).collect();
    let pictures = block_on(Pictures::upload(gpu, Noise::new(COUNT).0)).expect("pictures");
    pictures.fill(gpu, &indices, slot.words, input("pixels"), input("sizes"));
    gpu.upload(input("step"), &[seed, 0, 0, 0]);
    plan.run(gpu);
    let loss: Vec<f32> = block_on(gpu.read_one("loss", plan.slice(loss).expect("a root"))).expect("a readback");
    f64::from(loss[0])
}

#[test]
fn a_model_in_training_sees_the_order_crops_masks_and_pixels_that_the_recipe_says() {
    let imagenet = PixelNorm { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
    let other = PixelNorm { mean: [0.1, 0.2, 0.3], std: [0.5, 0.25, 0.125] };
    let paper = CropMode::Random { scale: [0.2, 1.0], ratio: [3.0 / 4.0, 4.0 / 3.0], flip: true };
    let cases = [
        (Augment::RandomCrop, Seen { mode: paper, strategy: MaskStrategy::Random, norm: imagenet }, 5),
        (Augment::CentreCrop, Seen { mode: CropMode::CentreSquare, strategy: MaskStrategy::Grid, norm: imagenet }, 6),
        (Augment::RandomCrop, Seen { mode: paper, strategy: MaskStrategy::Block, norm: other }, 7),
    ];
    for (augment, seen, seed) in cases {
        let mut recipe = nano();
        (recipe.train.augment, recipe.train.seed) = (augment, u64::from(seed));
        recipe.model.mask_strategy = seen.strategy;
        if seen.norm == other {
            (recipe.model.pixel_mean, recipe.model.pixel_std) = ([0.1, 0.2, 0.3], [0.5, 0.25, 0.125]);
        }
        let mut trainer = trainer(&recipe, None);
        let (want, got) = (first_loss(&trainer, seed, &seen), step(&mut trainer).loss);
        assert!((got - want).abs() < 1e-5 * want, "{augment:?}, {:?}: {got}, not {want}", seen.strategy);
    }
}

#[test]
fn a_very_long_picture_is_cut_to_its_middle() {
    // Where each pixel was is what it shows.
    let picture = |width: u32, height: u32| {
        let pixels = (0..width * height).flat_map(|at| [(at % width) as u8, (at / width) as u8, 0, 255]).collect();
        Picture { name: "long".to_owned(), width, height, pixels }
    };
    for ([width, height], [left, top, w, h]) in
        [([10, 2], [2, 0, 6, 2]), ([3, 14], [0, 2, 3, 9]), ([1, 8], [0, 2, 1, 3]), ([9, 3], [0, 0, 9, 3])]
    {
        let cut = capped(picture(width, height));
        assert_eq!((cut.width, cut.height), (w, h), "of {width} x {height}");
        let want = (0..w * h).flat_map(|at| [(left + at % w) as u8, (top + at / w) as u8, 0, 255]);
        assert!(want.eq(cut.pixels), "of {width} x {height}");
    }
}

#[test]
fn rates_warm_up_and_fall_to_the_least_and_are_what_weights_move_by() {
    let mut recipe = nano();
    let t = &mut recipe.train;
    (t.accumulate, t.warmup_steps, t.min_lr) = (2, 2, 0.002);
    // With both decays at zero a step is the gradient's sign times the rate.
    (t.beta1, t.beta2) = (0.0, 0.0);
    set_rate(&mut recipe, 0.01);
    let mut trainer = trainer(&recipe, None);
    let mut before = state(&trainer).weights;
    // Half of 1 + cos of 0, 45, 90 and 135 degrees, between the peak and the least.
    for rate in [0.0, 0.005, 0.01, 0.008_828_427_125, 0.006, 0.003_171_572_875] {
        let metrics = step(&mut trainer);
        assert!((metrics.lr - rate).abs() < 1e-11, "step {}: {}, not {rate}", metrics.step, metrics.lr);
        let after = state(&trainer).weights;
        let moved = each(&after, &before, |after, before| (after - before).abs());
        let most = moved.values().flatten().copied().fold(0.0, f64::max);
        assert!((most - rate).abs() <= 1e-3 * rate, "step {}: {most}, not {rate}", metrics.step);
        before = after;
    }
}

#[test]
fn weights_and_tokens_decay_and_biases_and_norms_do_not() {
    let (rate, decay) = (0.02, 0.5f32);
    let mut recipe = nano();
    recipe.train.beta1 = 0.8;
    recipe.train.weight_decay = decay;
    let adamw = AdamW { beta1: 0.8, beta2: 0.95, eps: 1e-8, weight_decay: decay };
    assert_eq!(recipe.optimiser(), adamw);

    // From weights of which hardly any is zero, as biases are at the start.
    set_rate(&mut recipe, rate);
    let mut start = state(&trainer(&recipe, None));
    start.weights.tensors.values_mut().flat_map(|tensor| &mut tensor.data).for_each(|x| *x += 0.25);
    let after = |decay: f32| {
        let mut recipe = recipe.clone();
        recipe.train.weight_decay = decay;
        let mut trainer = trainer(&recipe, Some(&start));
        step(&mut trainer);
        trained(&state(&trainer).weights)
    };
    let (plain, decayed) = (after(0.0), after(decay));
    for (name, plain) in &plain.tensors {
        let is_matrix = name.ends_with(".weight") && !name.contains("norm");
        let shrink = if is_matrix || name.ends_with("_token") { rate * f64::from(decay) } else { 0.0 };
        let before = &start.weights.tensors[name].data;
        for ((got, plain), before) in decayed.tensors[name].data.iter().zip(&plain.data).zip(before) {
            let want = f64::from(*plain) - shrink * f64::from(*before);
            assert!((f64::from(*got) - want).abs() < 1e-6, "{name}: {got}, not {want}");
        }
    }
}

#[test]
fn gradients_are_clipped_to_the_norm_that_the_recipe_says() {
    let mut recipe = nano();
    let moments = |recipe: &Recipe| {
        let mut trainer = trainer(recipe, None);
        let norm = step(&mut trainer).grad_norm.expect("a norm");
        (norm, state(&trainer).first)
    };
    let (norm, plain) = moments(&recipe);
    recipe.train.clip_grad = 0.125;
    assert!(norm > 0.25, "there is something to clip of {norm}");
    let (same, clipped) = moments(&recipe);
    assert_eq!(norm, same, "the norm is told as it was before clipping");
    let want = each(&plain, &plain, |moment, _| moment * 0.125 / norm);
    close("first moments", &clipped, &want, 1e-5);
    // Nothing that is small enough is clipped.
    recipe.train.clip_grad = 2.0 * norm as f32;
    assert!(moments(&recipe).1 == plain);
}

#[test]
fn micro_batches_are_those_of_single_steps_and_their_gradients_are_averaged() {
    let mut recipe = nano();
    // First moments are gradients then.
    recipe.train.beta1 = 0.0;
    let steps = |recipe: &Recipe, count: usize| -> Vec<(f64, Tensors)> {
        let mut trainer = trainer(recipe, None);
        (0..count).map(|_| (step(&mut trainer).loss, state(&trainer).first)).collect()
    };
    let single = steps(&recipe, 6);
    recipe.train.accumulate = 3;
    for (at, (loss, gradients)) in steps(&recipe, 2).into_iter().enumerate() {
        let [(l0, g0), (l1, g1), (l2, g2)] = &single[3 * at..][..3] else { panic!("three steps") };
        let want = (l0 + l1 + l2) / 3.0;
        assert!(l0 != l1 && l1 != l2, "each has pictures and masks of its own");
        assert!((loss - want).abs() < 1e-6 * want, "step {at}: {loss}, not {want}");
        let mut want = each(g0, g1, |g0, g1| g0 + g1);
        for (name, sums) in &mut want {
            sums.iter_mut().zip(&g2.tensors[name].data).for_each(|(sum, g2)| *sum = (*sum + f64::from(*g2)) / 3.0);
        }
        // Keys' biases have no gradient but rounding.
        want.retain(|name, _| !name.ends_with("k_proj.bias"));
        let mut gradients = gradients;
        gradients.tensors.retain(|name, _| want.contains_key(name));
        close(&format!("gradients of step {at}"), &gradients, &want, 1e-5);
    }
}

#[test]
fn averages_begin_as_the_weights_and_soon_forget_them() {
    let mut recipe = nano();
    recipe.train.ema_decay = 0.2;
    set_rate(&mut recipe, 0.05);
    let mut trainer = trainer(&recipe, None);
    let average = |checkpoint: &Checkpoint| checkpoint.average.clone().expect("averages");
    let mut before = state(&trainer);
    assert!(average(&before).tensors == trained(&before.weights).tensors);
    // (1 + 1) / (10 + 1) in the first step, then no more than what the recipe says.
    for past in [2.0 / 11.0, f64::from(0.2f32), f64::from(0.2f32)] {
        step(&mut trainer);
        let after = state(&trainer);
        assert!(after.weights.tensors != before.weights.tensors);
        let want = each(&average(&before), &after.weights, |average, weight| past * average + (1.0 - past) * weight);
        close("averages", &average(&after), &want, 1e-6);
        before = after;
    }
}

#[test]
fn at_most_512_held_out_pictures_are_measured() {
    let gpu: Arc<Gpu> = common::gpu();
    for (held_out, measured) in [(600, 512), (100, 100)] {
        let split = Split { train: vec![0, 1, 2, 3], held_out: (4..4 + held_out).collect() };
        let source = Arc::new(Noise::new(4 + held_out));
        let trainer = block_on(Trainer::new(gpu.clone(), nano(), source, &split, None)).expect("a trainer");
        assert_eq!((trainer.held_out(), trainer.measured()), (held_out, measured));
    }
}

#[test]
fn patches_are_hidden_by_the_strategy_that_is_asked_for_or_by_the_models_own() {
    let own = |strategy: MaskStrategy| {
        let mut recipe = nano();
        recipe.model.mask_strategy = strategy;
        let store = trainer(&recipe, None).store().clone();
        let mut explorer = block_on(Explorer::new(common::gpu(), recipe.model, store)).expect("a model");
        block_on(explorer.set_picture(Noise::new(1).0.remove(0))).expect("a picture");
        explorer
    };
    // All but the first patch of every two by two, of four rows of four.
    let grid: Vec<bool> = (0..16).map(|patch| (patch / 4) % 2 == 1 || patch % 2 == 1).collect();
    for (of_model, asked, is_grid) in [
        (MaskStrategy::Random, Some(MaskStrategy::Grid), true),
        (MaskStrategy::Random, None, false),
        (MaskStrategy::Grid, None, true),
        (MaskStrategy::Grid, Some(MaskStrategy::Random), false),
    ] {
        let mut explorer = own(of_model);
        for seed in [1, 2] {
            let hidden = Hidden::Ratio { strategy: asked, ratio: 0.75, seed };
            let rebuilt = block_on(explorer.run(&hidden)).expect("a reconstruction");
            let hidden = block_on(explorer.measure(&rebuilt)).expect("errors").hidden;
            assert_eq!(hidden.iter().filter(|hidden| **hidden).count(), 12);
            assert_eq!(hidden == grid, is_grid, "{of_model:?}, {asked:?}, seed {seed}: {hidden:?}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_in_a_folder_whose_name_is_no_text_is_found_by_its_settings() {
    use std::os::unix::ffi::OsStrExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join(std::ffi::OsStr::from_bytes(b"gr\xfcn"));
    drop(RunFolder::create(&run, &nano()).expect("a run"));
    assert_eq!(RunFolder::recipe(&run).expect("its settings"), nano());
    assert_eq!(find_runs(folder.path()).len(), 1);
}
