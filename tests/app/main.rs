//! The app's panels, driven as a person would: through what assistive technology sees.
#![cfg(feature = "app")]

mod cancel;
#[path = "../common/mod.rs"]
mod common;
mod form;
mod inspect;
mod keys;
mod runs;
mod taken;
mod views;
mod weights;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eframe::egui;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use unmask::app::{App, Phase, Recovery, Tab, setup};
use unmask::gpu::{Gpu, GpuOptions};
use unmask::train::MetricsLine;

/// How long the slowest adapter may take for what a test waits for.
const PATIENCE: Duration = Duration::from_secs(600);

fn open() -> Harness<'static, App> {
    open_on(common::gpu())
}

fn open_on(gpu: Arc<Gpu>) -> Harness<'static, App> {
    let mut harness = Harness::builder()
        .with_size(egui::vec2(1100.0, 720.0))
        .wgpu_setup(setup(&gpu))
        .build_eframe(|cc| App::new(gpu, cc).expect("an app"));
    wait(&mut harness, "the first picture", |app| app.explore().result().is_some());
    harness
}

/// Draws frames until `done`.
fn wait(harness: &mut Harness<'static, App>, what: &str, done: impl Fn(&App) -> bool) {
    let start = Instant::now();
    while !done(harness.state()) {
        let train = harness.state().train();
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}: {:?} at step {}", train.phase(), train.step());
        assert!(harness.state().unread().is_empty(), "{what}: {:?}", harness.state().unread());
        harness.step();
        std::thread::sleep(Duration::from_millis(5));
    }
    harness.step();
}

fn visible(app: &App) -> usize {
    app.explore().result().map_or(0, |shown| shown.measured.hidden.iter().filter(|hidden| !**hidden).count())
}

#[test]
fn it_opens_on_a_reconstruction() {
    let harness = open();
    assert_eq!(visible(harness.state()), 16);
    harness.get_by_label("16 of 64 patches visible");
    for view in ["Visible patches", "Reconstruction", "With visible patches", "Original"] {
        harness.get_by_role_and_label(egui::accesskit::Role::Image, view);
    }
}

#[test]
fn the_slider_moves_the_visible_count() {
    let mut harness = open();
    harness.get_by_role_and_label(egui::accesskit::Role::Slider, "Mask ratio").click();
    wait(&mut harness, "another visible count", |app| visible(app) > 25);
    let count = visible(harness.state());
    let ratio = harness.state_mut().settings_mut().explore.ratio;
    assert_eq!(count, ((64.0 * (1.0 - ratio)) as usize).max(1));
    harness.get_by_label(&format!("{count} of 64 patches visible"));
}

#[test]
fn clicking_a_patch_hides_and_shows_it() {
    let mut harness = open();
    let before = harness.state().explore().result().expect("a result").measured.hidden.clone();
    // The middle of the picture is the corner of a patch of the grid of eight: row 4, column 4.
    let patch = 4 * 8 + 4;
    harness.get_by_role_and_label(egui::accesskit::Role::Image, "Visible patches").click();
    wait(&mut harness, "a painted mask", |app| {
        app.explore().result().is_some_and(|shown| shown.measured.hidden[patch] != before[patch])
    });
    let after = &harness.state().explore().result().expect("a result").measured.hidden;
    assert_eq!(after.iter().zip(&before).filter(|(a, b)| a != b).count(), 1);
    assert!(harness.state().explore().is_painted());
    harness.get_by_role_and_label(egui::accesskit::Role::Image, "Visible patches").click();
    wait(&mut harness, "the mask as it was", |app| {
        app.explore().result().is_some_and(|shown| shown.measured.hidden == before)
    });
}

#[test]
fn reveal_goes_on_by_itself_and_a_painted_mask_stays() {
    let mut harness = open();
    harness.get_by_label("Reveal").click();
    wait(&mut harness, "less hidden", |app| app.settings().explore.ratio < 0.3);
    harness.get_by_label("Stop").click();
    harness.run_steps(2);
    harness.state_mut().settings_mut().explore.ratio = 0.55;
    wait(&mut harness, "45 % visible", |app| visible(app) == 28);
    harness.get_by_role_and_label(egui::accesskit::Role::Image, "Visible patches").click();
    harness.run_steps(20);
    assert!(harness.state().explore().is_painted());
}

#[test]
fn start_pause_step_and_stop() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut harness = open();
    let app = harness.state_mut();
    app.set_runs(folder.path().to_owned());
    app.open(Tab::Train);
    app.settings_mut().train.recipe.train.batch = 4;
    harness.run_steps(2);
    harness.get_by_label("Start").click();
    wait(&mut harness, "the first step", |app| app.train().step() >= 1);
    assert_eq!(harness.state().train().phase(), Phase::Running);
    harness.get_by_label("Pause").click();
    wait(&mut harness, "the pause", |app| app.train().phase() == Phase::Paused);
    let step = harness.state().train().step();
    harness.get_by_label("Step").click();
    wait(&mut harness, "one more step", |app| app.train().step() == step + 1);
    harness.run_steps(20);
    assert_eq!(harness.state().train().step(), step + 1);
    assert!(!harness.state().train().history().probes.is_empty());
    for phase in [Phase::Running, Phase::Paused] {
        harness.key_press(egui::Key::Space);
        wait(&mut harness, "what the space bar asked for", |app| app.train().phase() == phase);
    }
    harness.get_by_label("Stop").click();
    wait(&mut harness, "the end", |app| app.train().phase() == Phase::Idle);
    let run = folder.path().join("micro-1");
    assert!(run.join("recipe.toml").exists() && run.join("metrics.jsonl").exists());
    assert!(std::fs::read_dir(run.join("checkpoints")).expect("checkpoints").next().is_some());
}

/// Loses the device of `harness`, and what outlives it.
fn lose(harness: Harness<'static, App>) -> Recovery {
    let lost: Rc<RefCell<Option<Recovery>>> = Rc::default();
    let slot = lost.clone();
    let mut harness = harness;
    harness.state_mut().on_lost(Box::new(move |recovery| *slot.borrow_mut() = Some(recovery)));
    harness.key_press_modifiers(egui::Modifiers::COMMAND | egui::Modifiers::SHIFT, egui::Key::L);
    let start = Instant::now();
    while lost.borrow().is_none() {
        assert!(start.elapsed() < PATIENCE, "the loss was not told");
        // Nothing can be drawn any more, but the app's logic runs.
        harness.step();
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(harness);
    lost.take().expect("what outlives the device")
}

/// The app on another device than `gpu`, which was lost, where it stood.
fn set_up_again(gpu: &Gpu, recovery: Recovery) -> (Arc<Gpu>, Harness<'static, App>) {
    let gpu = pollster::block_on(gpu.reopen()).expect("another device");
    let mut harness = open_on(gpu.clone());
    harness.state_mut().recover(recovery);
    harness.state_mut().open(Tab::Train);
    harness.run_steps(3);
    let unread = harness.state().unread();
    assert!(unread.iter().any(|text| text.contains("was lost")), "{unread:?}");
    harness.get_by_label("Dismiss").click();
    harness.run_steps(2);
    (gpu, harness)
}

#[test]
fn a_lost_device_is_replaced_and_training_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    // A device of its own: the other tests need theirs.
    let gpu = pollster::block_on(Gpu::open(&GpuOptions::default())).expect("an adapter");
    let mut harness = open_on(gpu.clone());
    let app = harness.state_mut();
    app.set_runs(folder.path().to_owned());
    app.open(Tab::Train);
    app.settings_mut().train.recipe.train.batch = 4;
    harness.run_steps(2);
    harness.get_by_label("Start").click();
    wait(&mut harness, "some steps", |app| app.train().step() >= 3);
    harness.get_by_label("Pause").click();
    wait(&mut harness, "the pause", |app| app.train().phase() == Phase::Paused);
    wait(&mut harness, "a snapshot", |app| app.train().snapshot().is_some());
    let step = harness.state().train().step();
    let recovery = lose(harness);
    let saved = recovery.rescue().expect("a folder").expect("what was in memory alone");
    assert!(saved.ends_with(format!("micro-1/checkpoints/step-{step}.safetensors")), "{}", saved.display());
    assert!(recovery.rescue().expect("a folder").is_none(), "it is there");

    // What was paused waits.
    let (gpu, mut harness) = set_up_again(&gpu, recovery);
    assert_eq!(harness.state().train().standing().map(|standing| standing.step), Some(step));
    harness.get_by_label("Continue").click();
    wait(&mut harness, "the next step", |app| app.train().step() > step);
    for phase in [Phase::Paused, Phase::Running] {
        harness.key_press(egui::Key::Space);
        wait(&mut harness, "what the space bar asked for", |app| app.train().phase() == phase);
    }
    let last = harness.state().train().snapshot().expect("copied").step;
    assert!(last > step);

    // What ran goes on by itself, once for each copy.
    let (gpu, mut harness) = set_up_again(&gpu, lose(harness));
    wait(&mut harness, "a step that nobody asked for", |app| app.train().step() > last);
    let (_, mut harness) = set_up_again(&gpu, lose(harness));
    assert_eq!(harness.state().train().phase(), Phase::Idle);
    harness.get_by_label("Continue").click();
    wait(&mut harness, "the next step", |app| app.train().step() > last);
    harness.get_by_label("Stop").click();
    wait(&mut harness, "the end", |app| app.train().phase() == Phase::Idle);
    wait(&mut harness, "the picture", |app| app.explore().result().is_some());
    let metrics = std::fs::read_to_string(folder.path().join("micro-1/metrics.jsonl")).expect("metrics");
    let steps: Vec<u64> = metrics
        .lines()
        .map(|line| serde_json::from_str::<MetricsLine>(line).expect("a line"))
        .filter(|line| line.loss.is_some())
        .map(|line| line.step)
        .collect();
    assert!(steps.len() as u64 > last && steps.windows(2).all(|pair| pair[1] == pair[0] + 1), "{steps:?}");
}

#[derive(Debug)]
struct Dropped(PathBuf, Vec<u8>);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        Ok(self.1.clone())
    }
}

fn drop_file(harness: &mut Harness<'static, App>, name: &str, bytes: &[u8]) {
    harness.input_mut().dropped_files.push(Arc::new(Dropped(name.into(), bytes.to_vec())));
    harness.step();
}

#[test]
fn a_broken_file_is_named_and_a_picture_is_shown() {
    let mut harness = open();
    drop_file(&mut harness, "broken.png", b"no picture");
    let start = Instant::now();
    while harness.state().unread().is_empty() {
        assert!(start.elapsed() < PATIENCE, "no notice came");
        harness.step();
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(harness.state().unread()[0].contains("broken.png"), "{:?}", harness.state().unread());
    harness.step();
    harness.get_by_label("Dismiss").click();
    harness.run_steps(2);
    assert!(harness.state().unread().is_empty());

    let mse = harness.state().explore().result().expect("a result").measured.hidden_mse;
    let mut png = Vec::new();
    let picture = image::RgbImage::from_fn(90, 70, |x, y| image::Rgb([x as u8 * 2, y as u8 * 3, 90]));
    picture.write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).expect("a png");
    drop_file(&mut harness, "smooth.png", &png);
    wait(&mut harness, "the dropped picture", |app| {
        app.explore().result().is_some_and(|shown| shown.measured.hidden_mse != mse)
    });
}

#[test]
fn dropped_pictures_are_trained_on() {
    let mut harness = open();
    harness.state_mut().open(Tab::Train);
    harness.state_mut().settings_mut().train.recipe.train.batch = 2;
    harness.step();
    let files = (0..12u8).map(|index| {
        let picture = image::RgbImage::from_fn(40, 40, |x, y| image::Rgb([x as u8 * 6, y as u8 * 6, index * 20]));
        let mut png = Vec::new();
        picture.write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).expect("a png");
        Arc::new(Dropped(format!("{index}.png").into(), png)) as egui::DroppedFileHandle
    });
    harness.input_mut().dropped_files.extend(files);
    harness.step();
    wait(&mut harness, "the pictures", |app| app.train().given() == 12);
    harness.get_by_label("12 pictures");
    let folder = tempfile::tempdir().expect("a folder");
    harness.state_mut().set_runs(folder.path().to_owned());
    harness.get_by_label("Start").click();
    wait(&mut harness, "the first step", |app| app.train().step() >= 1);
    assert_eq!(harness.state().train().pictures(), Some(10));
    harness.get_by_label("Stop").click();
    wait(&mut harness, "the end", |app| app.train().phase() == Phase::Idle);
}

#[test]
fn the_tour_goes_through_the_panels() {
    let mut harness = open();
    harness.state_mut().open(Tab::Guide);
    harness.run_steps(2);
    harness.get_by_label("Take the tour").click();
    let mut seen = Vec::new();
    for _ in 0..4 {
        harness.run_steps(3);
        seen.push(harness.state_mut().settings_mut().tab);
        harness.get_by_label("Next").click();
    }
    harness.run_steps(3);
    assert_eq!(seen, [Tab::Explore, Tab::Explore, Tab::Train, Tab::Inspect]);
    assert_eq!(harness.state_mut().settings_mut().tab, Tab::Guide);
    harness.get_by_label("Done").click();
    harness.run_steps(3);
    assert!(harness.query_by_label("Done").is_none());
}

#[test]
fn every_panel_draws_in_both_themes_and_narrow() {
    let mut harness = open();
    for theme in [egui::Theme::Light, egui::Theme::Dark] {
        harness.ctx.set_theme(theme);
        for tab in [Tab::Explore, Tab::Train, Tab::Inspect, Tab::Guide] {
            harness.state_mut().open(tab);
            for size in [egui::vec2(360.0, 640.0), egui::vec2(1100.0, 720.0)] {
                harness.set_size(size);
                harness.run_steps(3);
                harness.render().expect("a picture");
            }
        }
    }
}
