//! Runs that end, go on, are opened, and are watched while they learn.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use unmask::app::{App, Phase, Tab, Train};
use unmask::gpu::{Gpu, GpuOptions};
use unmask::train::{MetricsLine, Recipe, RunFolder, find_runs};

use super::{PATIENCE, open, open_on, wait};

pub fn train_in(folder: &Path, harness: &mut Harness<'static, App>) {
    let app = harness.state_mut();
    app.set_runs(folder.to_owned());
    app.open(Tab::Train);
    app.settings_mut().train.recipe.train.batch = 4;
    harness.run_steps(2);
}

/// A run in `folder` that was stopped after some steps, and after how many.
fn stopped_run(folder: &Path) -> u64 {
    let mut harness = open();
    train_in(folder, &mut harness);
    harness.get_by_label("Start").click();
    wait(&mut harness, "some steps", |app| app.train().step() >= 2);
    harness.get_by_label("Stop").click();
    wait(&mut harness, "the end", |app| app.train().phase() == Phase::Idle);
    harness.state().train().standing().expect("a run").step
}

pub fn model(app: &App) -> &str {
    app.explore().model().map_or("", |model| &model.name)
}

/// Waits for a notice that holds `part`, and dismisses it.
pub fn notice(harness: &mut Harness<'static, App>, part: &str) {
    let start = Instant::now();
    while !harness.state().unread().iter().any(|text| text.contains(part)) {
        assert!(start.elapsed() < PATIENCE, "no notice says \"{part}\": {:?}", harness.state().unread());
        harness.step();
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    harness.step();
    harness.get_by_label("Dismiss").click();
    harness.run_steps(2);
}

#[test]
fn the_model_in_training_is_that_of_the_run_that_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut harness = open();
    assert!(harness.get_by_label("Model in training").accesskit_node().is_disabled());
    train_in(folder.path(), &mut harness);
    harness.get_by_label("Start").click();
    wait(&mut harness, "the first step", |app| app.train().step() >= 1);
    harness.state_mut().open(Tab::Explore);
    harness.run_steps(2);
    harness.get_by_label("Model in training").click();
    wait(&mut harness, "the model in training", |app| model(app) == "the model in training");
    let depth = harness.state().explore().model().expect("a model").config.depth;
    harness.state_mut().open(Tab::Train);
    harness.run_steps(2);
    harness.get_by_label("Stop").click();
    wait(&mut harness, "the end", |app| app.train().phase() == Phase::Idle);
    wait(&mut harness, "a name for what is left", |app| model(app) == "the model of the last run");
    harness.state_mut().open(Tab::Explore);
    harness.run_steps(2);
    harness.get_by_label("Shipped model").click();
    wait(&mut harness, "the shipped model", |app| model(app) == "the shipped model");
    harness.get_by_label("Model of the last run").click();
    wait(&mut harness, "the last run again", |app| model(app).contains("micro-step-"));
    harness.state_mut().open(Tab::Train);
    harness.run_steps(2);

    harness.state_mut().settings_mut().train.recipe.model.depth = depth + 1;
    harness.run_steps(2);
    harness.get_by_label("Start").click();
    wait(&mut harness, "the second run", |app| app.train().step() >= 1 && app.train().phase() == Phase::Running);
    harness.state_mut().open(Tab::Explore);
    harness.run_steps(2);
    harness.get_by_label("Model in training").click();
    wait(&mut harness, "the model of the second run", |app| {
        app.explore().model().is_some_and(|model| model.name == "the model in training" && model.config.depth != depth)
    });
    let shown = harness.state().explore().results();
    wait(&mut harness, "what it makes of the picture", |app| app.explore().results() > shown);
    harness.state_mut().open(Tab::Train);
    harness.run_steps(2);
    harness.get_by_label("Stop").click();
    wait(&mut harness, "the end", |app| app.train().phase() == Phase::Idle);
}

#[test]
fn a_device_that_is_lost_while_nothing_runs_is_noticed() {
    // A device of its own: the other tests need theirs.
    let gpu = pollster::block_on(Gpu::open(&GpuOptions::default())).expect("an adapter");
    let mut harness = open_on(gpu.clone());
    let noticed = Arc::<AtomicBool>::default();
    let flag = noticed.clone();
    harness.state_mut().on_lost(Box::new(move |_| flag.store(true, Ordering::Relaxed)));
    harness.run_steps(20);
    // Not by the app, which could tell its session.
    gpu.lose();
    let start = Instant::now();
    while !noticed.load(Ordering::Relaxed) {
        assert!(start.elapsed() < PATIENCE, "nobody noticed");
        harness.step();
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn an_opened_run_stands_at_its_newest_checkpoint_and_its_curves_go_on_from_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let step = stopped_run(folder.path());

    // As after a crash: lines after the checkpoint, and a checkpoint that was not finished.
    let run = folder.path().join("micro-1");
    let mut metrics = std::fs::read_to_string(run.join("metrics.jsonl")).expect("metrics");
    for step in step + 1..step + 4 {
        let line = MetricsLine { step, loss: Some(9.0), ..MetricsLine::default() };
        metrics += &format!("{}\n", serde_json::to_string(&line).expect("a line"));
    }
    std::fs::write(run.join("metrics.jsonl"), metrics).expect("written");
    let saved = std::fs::read(run.join(format!("checkpoints/step-{step}.safetensors"))).expect("a checkpoint");
    let torn = run.join(format!("checkpoints/step-{}.safetensors", step + 3));
    std::fs::write(torn, &saved[..saved.len() / 2]).expect("written");

    let mut harness = open();
    train_in(folder.path(), &mut harness);
    harness.state_mut().settings_mut().train.set_folders(vec![folder.path().to_owned()]);
    harness.state().put_run(run);
    wait(&mut harness, "the run", |app| app.train().standing().is_some());
    let app = harness.state();
    assert_eq!(app.train().standing().expect("a run").step, step);
    assert_eq!(app.train().history().loss.len() as u64, step);
    assert_eq!(app.settings().train.folder, None, "the run learns from the built-in photographs");
    harness.get_by_label("Continue").click();
    wait(&mut harness, "more steps", |app| app.train().step() >= step + 2);
    harness.get_by_label("Stop").click();
    wait(&mut harness, "the end", |app| app.train().phase() == Phase::Idle);
    let history = harness.state().train().history();
    for curve in [&history.loss, &history.held_out] {
        assert!(curve.windows(2).all(|pair| pair[0][0] < pair[1][0]), "drawn twice: {curve:?}");
    }
}

#[test]
fn a_run_from_a_file_goes_on_in_a_folder_of_its_own_and_outlives_a_start_that_fails() {
    let (folder, elsewhere) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let step = stopped_run(folder.path());
    let file = std::fs::read_dir(folder.path().join("micro-1/checkpoints")).expect("checkpoints");
    let file = file.flatten().map(|entry| entry.path()).find(|path| path.display().to_string().contains("step-"));
    let bytes = std::fs::read(file.expect("a checkpoint")).expect("read");

    let mut harness = open();
    super::drop_file(&mut harness, "from-elsewhere.safetensors", &bytes);
    wait(&mut harness, "the run", |app| app.train().standing().is_some());
    train_in(elsewhere.path(), &mut harness);
    // A new run whose pictures are missing.
    let missing = elsewhere.path().join("none");
    harness.state_mut().settings_mut().train.set_folders(vec![missing]);
    harness.run_steps(2);
    harness.get_by_label("Start").click();
    notice(&mut harness, "none");
    assert_eq!(harness.state().train().standing().map(|standing| standing.step), Some(step), "it stands as before");

    harness.state_mut().settings_mut().train.set_sample();
    // What cannot change is told instead of being passed over.
    harness.state_mut().settings_mut().train.recipe.train.batch = 5;
    harness.run_steps(2);
    assert!(harness.get_by_label("Continue").accesskit_node().is_disabled());
    harness.get_by_label("Its settings").click();
    harness.run_steps(2);
    harness.get_by_label("Continue").click();
    wait(&mut harness, "more steps", |app| app.train().step() >= step + 2);
    harness.get_by_label("Stop").click();
    wait(&mut harness, "the end", |app| app.train().phase() == Phase::Idle);
    let saved = std::fs::read_dir(elsewhere.path().join("micro-1/checkpoints")).expect("checkpoints").count();
    assert!(saved > 1, "the state that it began with and the last");
}

#[test]
fn runs_of_equal_name_are_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["lr1/run", "lr2/run", "other"] {
        let mut run = RunFolder::create(&folder.path().join(name), &Recipe::default()).expect("a run");
        run.log(&MetricsLine { step: 1, loss: Some(0.5), ..MetricsLine::default() }).expect("written");
    }
    let mut train = Train::default();
    train.compare(find_runs(&folder.path().join("lr1")));
    assert_eq!(train.compared(), ["run"]);
    train.compare(find_runs(folder.path()));
    let slash = std::path::MAIN_SEPARATOR;
    assert_eq!(train.compared(), [format!("lr1{slash}run"), format!("lr2{slash}run"), "other".to_owned()]);
}

#[test]
fn nothing_begins_where_nothing_can_be_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "no folder").expect("written");
    let mut harness = open();
    train_in(&file, &mut harness);
    harness.get_by_label(&format!("Run folders: {}", file.display()));
    harness.get_by_label("Start").click();
    harness.run_steps(2);
    assert_eq!(harness.state().train().phase(), Phase::Idle);
    notice(&mut harness, "nothing can be written there");
}
