//! Runs from elsewhere: which are taken up, and which are kept.

use std::path::Path;

use egui_kittest::kittest::Queryable as _;
use unmask::app::Tab;
use unmask::train::{Checkpoint, Hints, Opened, Recipe, RunFolder, model_of};
use unmask::weights::{TensorSource as _, Tensors, shipped};

use super::runs::{model, notice};
use super::weights::{drop_path, shows};
use super::{drop_file, open, wait};

/// The shipped model as a run that stands at `step`.
fn checkpoint(step: u64) -> Checkpoint {
    let weights = shipped().expect("weights");
    let mut recipe = Recipe::load("micro").expect("a preset");
    recipe.model = model_of(&weights).expect("a model");
    let mut zeros = Tensors { tensors: weights.tensors.clone(), ..Tensors::default() };
    zeros.tensors.values_mut().for_each(|tensor| tensor.data.fill(0.0));
    let (first, second) = (zeros.clone(), zeros);
    Checkpoint { recipe, step, samples: 0, weights, first, second, average: None, held_out_loss: None }
}

/// The same without moments.
fn weights_alone(step: u64) -> Checkpoint {
    let none = Tensors::default;
    Checkpoint { first: none(), second: none(), held_out_loss: Some(0.5), ..checkpoint(step) }
}

fn bytes(checkpoint: &Checkpoint) -> Vec<u8> {
    checkpoint.to_bytes().expect("bytes")
}

/// A run in `folder` that stands at `step`.
fn run(folder: &Path, step: u64) {
    let checkpoint = checkpoint(step);
    let mut run = RunFolder::create(folder, &checkpoint.recipe).expect("a run");
    run.save(&checkpoint).expect("saved");
}

#[test]
fn a_run_folder_will_do_wherever_weights_are_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("run");
    let opened = |folder: &Path| Opened::open(folder, &Hints::default()).map(|opened| opened.weights.path().to_owned());
    let mut run = RunFolder::create(&folder, &checkpoint(0).recipe).expect("a run");
    let text = opened(&folder).expect_err("nothing yet").to_string();
    assert!(text.contains("nothing was saved yet"), "{text}");
    run.save(&checkpoint(7)).expect("saved");
    assert!(opened(&folder).expect("the newest").ends_with("step-7.safetensors"));
    run.save_best(&weights_alone(5)).expect("saved");
    assert!(opened(&folder).expect("the best").ends_with("best.safetensors"));
}

#[test]
fn a_dropped_run_is_explored_and_goes_on_and_is_no_data() {
    let folder = tempfile::tempdir().expect("a folder");
    let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
    run(&first, 7);
    run(&second, 9);
    let mut harness = open();
    drop_path(&mut harness, &first);
    shows(&mut harness, &first);
    let standing = |app: &unmask::app::App| app.train().standing().and_then(|standing| standing.out.clone());
    wait(&mut harness, "the run", |app| standing(app).as_ref() == Some(&first));
    assert_eq!(harness.state().train().standing().map(|standing| standing.step), Some(7));
    assert_eq!(harness.state().settings().train.folder, None);
    assert_eq!(harness.state().settings().train.recipe, checkpoint(7).recipe);

    // Not in place of another that stands, unless that is what was asked for.
    harness.state_mut().settings_mut().train.recipe.train.steps = 12_345;
    drop_path(&mut harness, &second);
    notice(&mut harness, "stopped at step 7, is still open. Open run…");
    shows(&mut harness, &second);
    assert_eq!(standing(harness.state()).as_ref(), Some(&first));
    assert_eq!(harness.state().settings().train.recipe.train.steps, 12_345);
    harness.state().put_run(second.clone());
    wait(&mut harness, "the other run", |app| standing(app).as_ref() == Some(&second));
    assert_eq!(harness.state().train().standing().map(|standing| standing.step), Some(9));
}

#[test]
fn weights_alone_are_no_run() {
    let mut harness = open();
    let before = harness.state().settings().train.clone();
    drop_file(&mut harness, "best.safetensors", &bytes(&weights_alone(40)));
    wait(&mut harness, "the model", |app| model(app) == "best.safetensors");
    assert!(harness.state().train().standing().is_none());
    // Who trains is told.
    harness.state_mut().open(Tab::Train);
    drop_file(&mut harness, "again.safetensors", &bytes(&weights_alone(40)));
    notice(&mut harness, "without what it takes to go on");
    assert!(harness.state().train().standing().is_none());
    assert_eq!(harness.state().settings().train, before);
}

#[test]
fn a_run_that_stands_is_kept_until_it_is_let_go_of() {
    let mut harness = open();
    harness.state_mut().open(Tab::Train);
    drop_file(&mut harness, "first.safetensors", &bytes(&checkpoint(30)));
    let step = |app: &unmask::app::App| app.train().standing().map(|standing| standing.step);
    wait(&mut harness, "the run", |app| step(app) == Some(30));
    harness.state_mut().settings_mut().train.recipe.train.steps = 12_345;
    for name in ["second.safetensors", "third.safetensors"] {
        drop_file(&mut harness, name, &bytes(&checkpoint(60)));
        notice(&mut harness, &format!("{name} holds a run, but another one, stopped at step 30, is still open"));
    }
    assert_eq!(step(harness.state()), Some(30));
    assert_eq!(harness.state().settings().train.recipe.train.steps, 12_345);
    // It lies in no folder: not even a run that is asked for takes its place.
    let folder = tempfile::tempdir().expect("a folder");
    run(folder.path(), 9);
    harness.state().put_run(folder.path().to_owned());
    notice(&mut harness, "stopped at step 30, is still open. Close that run");
    harness.get_by_label("Close run").click();
    harness.run_steps(2);
    assert_eq!(step(harness.state()), None);
    assert!(harness.query_by_label("Close run").is_none());
    drop_file(&mut harness, "second.safetensors", &bytes(&checkpoint(60)));
    wait(&mut harness, "the other run", |app| step(app) == Some(60));
}
