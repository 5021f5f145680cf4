//! Training end to end on the sample photographs: learning, determinism, resuming, and what goes wrong.

#[path = "../common/mod.rs"]
mod common;
mod saving;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use unmask::data;
use unmask::gpu::{AdapterRequest, Gpu, GpuOptions};
use unmask::graph::Caps;
use unmask::mae::MaeConfig;
use unmask::session::{Begin, Command, Event, Job, JobError, Session};
use unmask::train::{Checkpoint, MetricsLine, Precision, Recipe, RunFolder, Trainer, estimate, read_metrics};

/// A model small enough to train in seconds on a software adapter.
fn nano() -> Recipe {
    let mut recipe = Recipe::load("micro").expect("a preset");
    recipe.model = MaeConfig {
        image_size: 32,
        patch_size: 8,
        width: 32,
        depth: 2,
        heads: 2,
        decoder_width: 32,
        decoder_depth: 1,
        decoder_heads: 2,
        ..recipe.model
    };
    recipe.train.batch = 8;
    recipe.train.steps = 40;
    recipe.train.blr = 0.1;
    recipe.train.warmup_steps = 5;
    recipe.train.eval_every = 0;
    recipe.train.seed = 3;
    recipe
}

fn job(recipe: Recipe, out: Option<&Path>) -> Job {
    Job { out: out.map(Path::to_owned), ..Job::new(recipe) }
}

/// Metrics and held-out losses of a job.
fn run(job: Job) -> Result<(Vec<MetricsLine>, Vec<f64>), JobError> {
    let session = Session::start(job).expect("a thread");
    let (mut lines, mut held_out) = (Vec::new(), Vec::new());
    while let Some(event) = session.wait() {
        match event {
            Event::Step(line) => lines.push(line),
            Event::HeldOut { loss, .. } => held_out.push(loss),
            Event::Failed(error) => return Err(error),
            _ => {}
        }
    }
    Ok((lines, held_out))
}

fn losses(lines: &[MetricsLine]) -> Vec<u64> {
    lines.iter().map(|line| line.loss.expect("a loss").to_bits()).collect()
}

#[test]
fn a_single_picture_trains_with_a_single_patch_visible_or_hidden() {
    for ratio in [0.94, 0.05] {
        for precision in [Precision::F32, Precision::Mixed] {
            let mut recipe = nano();
            (recipe.train.batch, recipe.train.steps, recipe.train.precision) = (1, 3, precision);
            recipe.model.mask_ratio = ratio;
            let hidden = 16 - recipe.model.visible();
            assert!(hidden == 1 || hidden == 15, "{hidden} hidden");
            let (lines, _) = run(job(recipe, None)).unwrap_or_else(|error| panic!("{ratio} {precision:?}: {error}"));
            assert_eq!(lines.len(), 3);
        }
    }
}

#[test]
fn a_model_learns_and_repeats_itself_bit_for_bit() {
    let (first, held_out) = run(job(nano(), None)).expect("a run");
    let (second, held_out_again) = run(job(nano(), None)).expect("a run");
    assert_eq!(first.len(), 40);
    assert_eq!(losses(&first), losses(&second));
    assert_eq!(held_out, held_out_again);
    assert!(held_out[1] < 0.85 * held_out[0], "held-out loss {} -> {}", held_out[0], held_out[1]);
    assert_eq!(first[0].lr, Some(0.0), "warm-up starts at zero");

    let mut other = nano();
    other.train.seed = 4;
    other.train.steps = 3;
    let (third, _) = run(job(other, None)).expect("a run");
    assert_ne!(losses(&first)[..3], losses(&third)[..], "another seed is another run");
}

#[test]
fn a_resumed_run_continues_bit_for_bit() {
    let folder = tempfile::tempdir().expect("a folder");
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let mut recipe = nano();
    recipe.train.accumulate = 2;
    recipe.train.clip_grad = 1.0;
    let (straight, _) = run(job(recipe.clone(), Some(&whole))).expect("a run");
    let (first, _) = run(Job { stop_after: Some(20), ..job(recipe.clone(), Some(&parts)) }).expect("a run");
    assert_eq!(first.len(), 20);
    let (second, _) = run(Job { begin: Begin::Resume, ..job(recipe.clone(), Some(&parts)) }).expect("a resumed run");
    let joined: Vec<MetricsLine> = first.into_iter().chain(second).collect();
    assert_eq!(losses(&straight), losses(&joined));
    let file = "checkpoints/step-40.safetensors";
    let (a, b) = (Checkpoint::read(&whole.join(file)), Checkpoint::read(&parts.join(file)));
    let (a, b) = (a.expect("a checkpoint"), b.expect("a checkpoint"));
    assert!(a.weights.tensors == b.weights.tensors, "weights differ");
    assert!(a.first.tensors == b.first.tensors && a.second.tensors == b.second.tensors, "moments differ");
    assert_eq!((a.step, a.samples), (b.step, b.samples));

    let metrics = fs::read_to_string(parts.join("metrics.jsonl")).expect("metrics");
    let steps: Vec<u64> = metrics
        .lines()
        .map(|line| serde_json::from_str::<MetricsLine>(line).expect("a line"))
        .filter(|line| line.loss.is_some())
        .map(|line| line.step)
        .collect();
    assert_eq!(steps, (1..=40).collect::<Vec<u64>>());
    assert!(parts.join("previews/step-0.png").exists() && parts.join("previews/step-40.png").exists());
    assert_eq!(Recipe::load(&parts.join("recipe.toml").display().to_string()).expect("a recipe"), recipe);

    // A torn checkpoint is passed over for the one before it.
    let newest = parts.join(file);
    let bytes = fs::read(&newest).expect("a file");
    fs::write(&newest, &bytes[..bytes.len() / 2]).expect("written");
    let checkpoint = RunFolder::resume(&parts).expect("the one before").2.expect("a checkpoint");
    assert_eq!(checkpoint.step, 20);
}

#[test]
fn commands_pause_step_change_and_stop() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut recipe = nano();
    recipe.train.steps = 100_000;
    let session = Session::start(job(recipe, Some(&folder.path().join("run")))).expect("a thread");
    // Steps of a pause that is over, which the next does not make.
    for command in [Command::Pause, Command::Step, Command::Step, Command::Step, Command::Resume, Command::Pause] {
        session.send(command);
    }
    session.send(Command::Step);
    session.send(Command::Step);
    session.send(Command::Measure);
    session.send(Command::SetMaskRatio(1.5));
    session.send(Command::SetMaskRatio(0.5));
    let (mut steps, mut warnings, mut finished, mut previews, mut ratio) = (0, Vec::new(), None, 0, None);
    while let Some(event) = session.wait() {
        match event {
            Event::Step(line) => {
                steps += 1;
                assert_eq!(line.step, steps);
                if steps == 2 {
                    session.send(Command::SetMaskRatio(2.5));
                }
            }
            Event::Warning(text) => warnings.push(text),
            Event::MaskRatio(stays) => {
                ratio = Some(stays);
                session.send(Command::Stop);
            }
            Event::Preview(_) => previews += 1,
            Event::Finished { step, .. } => finished = Some(step),
            Event::Failed(error) => panic!("{error}"),
            _ => {}
        }
    }
    assert_eq!((steps, finished), (2, Some(2)));
    assert_eq!(previews, 2, "one at the start, one when asked");
    // Of the first two, which came together, the last alone counts.
    let expected = "expected more than 0 and less than 1, such as 0.75 for 75 %";
    assert_eq!(warnings, [format!("the mask ratio stays: recipe: mask_ratio = 2.5: {expected}")]);
    assert_eq!(ratio, Some(0.5));
    let checkpoint = RunFolder::resume(&folder.path().join("run")).expect("a run").2.expect("saved when stopped");
    assert_eq!((checkpoint.step, checkpoint.recipe.model.mask_ratio), (2, 0.5));
}

/// What is told behind a run that is to begin is not for the one whose end that waits for.
#[test]
fn commands_behind_a_run_are_for_that_run() {
    let long = || {
        let mut recipe = nano();
        recipe.train.steps = 100_000;
        Command::Train(Box::new(job(recipe, None)))
    };
    let mut recipe = nano();
    recipe.train.steps = 2;
    let short = Command::Train(Box::new(job(recipe, None)));
    let session = Session::open(common::gpu(), Arc::new(|| ())).expect("a thread");
    let learns = || {
        session.send(long());
        until(&session, |event| matches!(event, Event::Step(line) if line.step >= 5));
    };
    let is_over = |event: &Event| matches!(event, Event::Finished { .. } | Event::Cancelled);
    learns();
    session.send(long());
    session.send(Command::Stop);
    let events = until(&session, is_over);
    assert!(matches!(events.last(), Some(Event::Finished { .. })), "the first: {events:?}");
    let events = until(&session, is_over);
    assert!(events.last().is_some_and(is_over), "the second: {events:?}");

    learns();
    session.send(long());
    session.send(short);
    let events = until(&session, |event| matches!(event, Event::Finished { step: 2, .. }));
    assert!(matches!(events.last(), Some(Event::Finished { step: 2, .. })), "the last: {events:?}");

    learns();
    session.send(long());
    session.send(Command::Close);
    let events: Vec<Event> = std::iter::from_fn(|| session.wait()).collect();
    assert!(matches!(events.last(), Some(Event::Finished { .. })), "the first: {events:?}");
    assert!(!events.iter().any(|event| matches!(event, Event::Started(_))), "nothing begins: {events:?}");
}

#[test]
fn a_session_that_is_dropped_saves_and_ends_and_one_that_is_joined_tells_how() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    let mut recipe = nano();
    recipe.train.steps = 1_000_000;
    let session = Session::start(job(recipe.clone(), Some(&out))).expect("a thread");
    until(&session, |event| matches!(event, Event::Step(_)));
    // Whoever could still send commands sends none.
    let _commands = session.commands();
    drop(session);
    // It gives the folder back when it has ended.
    let start = std::time::Instant::now();
    let checkpoint = loop {
        match RunFolder::resume(&out) {
            Ok((_, _, checkpoint)) => break checkpoint,
            Err(error) => assert!(start.elapsed().as_secs() < 600, "{error}"),
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert!(checkpoint.is_some(), "saved");

    recipe.train.data = vec![folder.path().join("nowhere").display().to_string()];
    let error = Session::start(job(recipe, None)).expect("a thread").join().expect_err("failed").to_string();
    assert!(error.contains("nowhere"), "{error}");
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    let mut recipe = nano();
    recipe.train.checkpoint_every = 0;
    recipe.train.warmup_steps = 2;
    recipe.train.blr = 1e36;
    let error = run(job(recipe, Some(&out))).expect_err("diverged").to_string();
    assert!(error.contains("is not finite at step") && error.contains("learning rate"), "{error}");
    let checkpoint = RunFolder::resume(&out).expect("a run").2.expect("saved when it failed");
    let file = out.join(format!("checkpoints/step-{}.safetensors", checkpoint.step));
    assert!(error.contains(&format!("the newest checkpoint, finite throughout, is {}", file.display())), "{error}");
    assert!(checkpoint.is_finite(), "the checkpoint of step {}", checkpoint.step);
}

/// A trainer by itself, for what a session hides.
async fn trainer(recipe: Recipe) -> Trainer {
    let (source, split) = data::open_all(&recipe.train.data).expect("pictures");
    let gpu = Gpu::open(&GpuOptions::default()).await.expect("an adapter");
    Trainer::new(gpu, recipe, source, &split, None).await.expect("a trainer")
}

#[test]
fn steps_before_one_that_goes_wrong_are_reported() {
    let mut recipe = nano();
    recipe.train.warmup_steps = 0;
    pollster::block_on(async {
        let mut trainer = trainer(recipe).await;
        for blr in [0.01, 0.01, 1e36, 0.01, 0.01] {
            trainer.set_base_learning_rate(blr).expect("a rate");
            trainer.advance().expect("a step");
        }
        let good: Vec<u64> = trainer.collect().await.expect("metrics").iter().map(|metrics| metrics.step).collect();
        assert!(good.starts_with(&[1, 2, 3]), "{good:?}");
        let error = trainer.collect().await.expect_err("told once").to_string();
        assert!(error.contains("is not finite at step"), "{error}");
        assert!(trainer.collect().await.expect("nothing more").is_empty());
        assert!(trainer.checkpoint().await.expect("a checkpoint").is_finite());
    });
}

#[test]
fn steps_whose_metrics_nobody_collects_are_not_submitted_for_ever() {
    pollster::block_on(async {
        let mut trainer = trainer(nano()).await;
        while !trainer.is_full() {
            trainer.advance().expect("a step");
        }
        let (step, error) = (trainer.step(), trainer.advance().expect_err("refused").to_string());
        assert_eq!(
            error,
            format!("{step} steps are submitted and their metrics not collected: collect them before the next")
        );
        assert_eq!((trainer.collect().await.expect("metrics").len() as u64, trainer.step()), (step, step));
        trainer.advance().expect("a step");
    });
}

#[test]
fn a_step_that_the_device_refuses_ends_the_run() {
    pollster::block_on(async {
        let mut trainer = trainer(nano()).await;
        trainer.ready().await.expect("pictures");
        trainer.advance().expect("a step");
        trainer.store().optimiser_shards()[0].weights.buffer.destroy();
        trainer.advance().expect("submitted");
        trainer.gpu().check().expect("nothing that others take for theirs");
        let error = trainer.collect().await.expect_err("refused").to_string();
        assert!(error.starts_with("GPU error: "), "{error}");
        for _ in 0..2 {
            trainer.advance().expect("submitted");
        }
        let error = trainer.ready().await.expect_err("refused").to_string();
        assert!(error.starts_with("GPU error: "), "{error}");
    });
}

#[test]
fn a_new_run_takes_no_checkpoints_of_another_for_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut recipe = nano();
    recipe.train.steps = 2;
    run(job(recipe.clone(), Some(folder.path()))).expect("a run");
    fs::remove_file(folder.path().join("recipe.toml")).expect("removed");
    let error = run(job(recipe, Some(folder.path()))).expect_err("refused").to_string();
    assert!(error.contains("step-2.safetensors of another run"), "{error}");
}

#[test]
fn weights_to_start_from_have_the_heads_that_the_recipe_says() {
    let mut recipe = Recipe::load("micro").expect("a preset");
    recipe.model.heads = 8;
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/weights/micro.safetensors");
    let error = run(Job { begin: Begin::Weights(weights), ..job(recipe, None) }).expect_err("refused").to_string();
    assert!(error.contains("heads = 4; expected heads = 8"), "{error}");
}

#[test]
fn a_folder_of_pictures_streams_as_it_resides() {
    let folder = tempfile::tempdir().expect("a folder");
    for i in 0..24u32 {
        let picture =
            image::RgbImage::from_fn(40 + i, 50, |x, y| image::Rgb([(x * 5) as u8, (y * 5) as u8, (i * 10) as u8]));
        picture.save(folder.path().join(format!("{i}.png"))).expect("saved");
    }
    let mut recipe = nano();
    recipe.train.data = vec![folder.path().display().to_string()];
    recipe.train.steps = 6;
    let (resident, _) = run(job(recipe.clone(), None)).expect("a run");
    recipe.train.pixel_budget = 0;
    let (streamed, _) = run(job(recipe, None)).expect("a run");
    assert_eq!((resident.len(), streamed.len()), (6, 6));
    let close = resident.iter().zip(&streamed).all(|(a, b)| {
        let (a, b) = (a.loss.expect("a loss"), b.loss.expect("a loss"));
        (a - b).abs() < 1e-5 * a
    });
    assert!(close, "the same pictures in the same order: {resident:?} {streamed:?}");
}

#[test]
fn pictures_that_cannot_be_read_and_settings_without_effect_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    for i in 0..24u8 {
        image::RgbImage::from_pixel(40, 40, image::Rgb([i * 9; 3]))
            .save(folder.path().join(format!("{i}.png")))
            .expect("saved");
    }
    let mut recipe = nano();
    recipe.train.data = vec![folder.path().display().to_string()];
    let (source, split) = data::open_all(&recipe.train.data).expect("pictures");
    let broken = source.name(split.train[3]);
    fs::write(folder.path().join(broken), "no picture").expect("written");
    (recipe.train.steps, recipe.train.pixel_budget, recipe.train.early_stop) = (8, 0, 5);
    let session = Session::start(job(recipe, None)).expect("a thread");
    let events = until(&session, |event| matches!(event, Event::Finished { .. }));
    let told = |text: &str| {
        let tells = |event: &&Event| matches!(event, Event::Warning(told) if told.contains(text));
        events.iter().filter(tells).count()
    };
    assert_eq!(told("early_stop = 5 ends nothing"), 1, "{events:?}");
    // It comes up twice or thrice, and is told once.
    assert_eq!((told("pictures read so far was skipped: "), told(broken)), (1, 1), "{events:?}");
}

#[test]
fn jobs_that_cannot_work_say_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let message = |job: Job| run(job).expect_err("refused").to_string();

    let mut recipe = nano();
    recipe.train.data = vec![folder.path().join("nowhere").display().to_string()];
    let text = message(job(recipe, None));
    assert!(text.contains("nowhere"), "{text}");

    let mut recipe = nano();
    recipe.model.width = 30;
    let text = message(job(recipe, None));
    assert!(text.contains("width = 30"), "{text}");

    let text = message(Job { begin: Begin::Resume, ..job(nano(), Some(&folder.path().join("none"))) });
    assert!(text.contains("holds no run"), "{text}");

    let adapter = AdapterRequest { name: Some("no such card".to_owned()) };
    let text = message(Job { adapter, ..job(nano(), None) });
    assert!(text.contains("no such card") && text.contains("there are"), "{text}");

    let out = folder.path().join("run");
    let mut recipe = nano();
    recipe.train.steps = 1;
    run(job(recipe.clone(), Some(&out))).expect("a run");
    let text = message(job(recipe, Some(&out)));
    assert!(text.contains("holds a run already") && !text.contains("--"), "{text}");

    // A model whose activations exceed one binding of the adapter.
    let mut recipe = Recipe::load("base").expect("a preset");
    recipe.train.batch = 4096;
    let text = message(job(recipe, None));
    assert!(text.contains("\"base\" at batch 4096 does not fit") && text.contains("binds at most"), "{text}");
}

/// Everything that `session` reports until `last` says so.
fn until(session: &Session, last: impl Fn(&Event) -> bool) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(event) = session.wait() {
        if let Event::Failed(error) = &event {
            panic!("{error}");
        }
        let done = last(&event);
        events.push(event);
        if done {
            break;
        }
    }
    events
}

fn steps_of(events: &[Event]) -> Vec<MetricsLine> {
    events.iter().filter_map(|event| if let Event::Step(line) = event { Some(line.clone()) } else { None }).collect()
}

#[test]
fn recomputed_activations_are_the_same_to_the_bit() {
    let mut recipe = nano();
    recipe.train.steps = 4;
    let (kept, _) = run(job(recipe.clone(), None)).expect("a run");
    recipe.train.recompute = true;
    let (again, _) = run(job(recipe, None)).expect("a run");
    assert_eq!(losses(&kept), losses(&again));
    let norms = |lines: &[MetricsLine]| -> Vec<Option<u64>> {
        lines.iter().map(|line| line.grad_norm.map(f64::to_bits)).collect()
    };
    assert_eq!(norms(&kept), norms(&again));
}

#[test]
fn mixed_precision_learns_as_f32_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let mut recipe = nano();
    recipe.train.clip_grad = 1.0;
    recipe.train.accumulate = 2;
    let (wide, held_out) = run(job(recipe.clone(), None)).expect("a run");
    recipe.train.precision = Precision::Mixed;
    let (mixed, mixed_held_out) = run(job(recipe.clone(), Some(&whole))).expect("a run in mixed precision");
    let off = |a: f64, b: f64| ((a - b) / b).abs();
    println!("held-out loss {held_out:?} in f32, {mixed_held_out:?} mixed");
    assert!(off(mixed_held_out[1], held_out[1]) < 0.01, "{mixed_held_out:?}, in f32 {held_out:?}");
    assert_ne!(losses(&wide), losses(&mixed), "16 bits cannot give the same bits");
    for (wide, mixed) in wide.iter().zip(&mixed) {
        assert!(off(mixed.loss.expect("a loss"), wide.loss.expect("a loss")) < 0.02, "{mixed:?}, in f32 {wide:?}");
        assert!(
            off(mixed.grad_norm.expect("a norm"), wide.grad_norm.expect("a norm")) < 0.1,
            "{mixed:?}, in f32 {wide:?}"
        );
        assert_eq!(mixed.loss_scale, Some(65_536.0));
    }
    // The scale goes on where it stood, so that a resumed run keeps its bits.
    let (first, _) = run(Job { stop_after: Some(20), ..job(recipe.clone(), Some(&parts)) }).expect("a run");
    let (second, _) = run(Job { begin: Begin::Resume, ..job(recipe, Some(&parts)) }).expect("a resumed run");
    assert_eq!(losses(&mixed), losses(&[first, second].concat()));
}

/// What a graphics card with the usual limits can do.
const CARD: Caps = Caps {
    cpu: false,
    few_registers: false,
    f16: true,
    subgroup: None,
    matrix_units: None,
    max_binding: i32::MAX as u64,
    max_workgroups: 65_535,
    max_invocations: 256,
    workgroup_memory: 32 << 10,
};

#[test]
fn large_models_fit_small_cards() {
    let cases = [
        ("large", Precision::F32, 8u64 << 30),
        ("huge", Precision::F32, 16 << 30),
        ("huge", Precision::Mixed, 16 << 30),
    ];
    for (model, precision, most) in cases {
        let (batch, recompute) = (64, true);
        let mut recipe = Recipe::load(model).expect("a preset");
        recipe.train.batch = batch;
        recipe.train.recompute = recompute;
        recipe.train.precision = precision;
        let estimate = estimate(&recipe, CARD).expect("it fits");
        println!("{model} {precision:?} batch {batch}: {estimate}");
        assert!(estimate.bytes() < most, "{model}: {estimate}");
    }
}

#[test]
fn activations_share_memory_well() {
    for model in ["micro", "mini", "base", "large", "huge"] {
        for recompute in [false, true] {
            let mut recipe = Recipe::load(model).expect("a preset");
            recipe.train.batch = 16;
            recipe.train.recompute = recompute;
            let estimate = estimate(&recipe, CARD).expect("it fits");
            let ratio = estimate.activations as f64 / estimate.lower_bound as f64;
            println!("{model} recompute {recompute}: {} MiB, {ratio:.3} of the bound", estimate.activations >> 20);
            assert!(ratio < 1.1, "{model}: {ratio}");
        }
    }
}
