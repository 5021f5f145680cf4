//! Settings that are drawn stay what they are until somebody changes them.

use egui_kittest::kittest::Queryable as _;
use unmask::app::{Phase, Tab};
use unmask::mae::MaeConfig;
use unmask::train::{Recipe, RunFolder};

use super::egui::{Key, accesskit::Role::SpinButton};
use super::runs::train_in;
use super::{egui, open, wait};

/// All that is valid and larger than anyone would choose here.
fn extreme() -> Recipe {
    let mut recipe = Recipe::load("micro").expect("a preset");
    recipe.model = MaeConfig {
        image_size: 4096,
        patch_size: 128,
        width: 4096,
        depth: 60,
        heads: 128,
        decoder_width: 4096,
        decoder_depth: 60,
        decoder_heads: 128,
        mask_ratio: 0.9995,
        ..recipe.model
    };
    let train = &mut recipe.train;
    (train.steps, train.warmup_steps, train.early_stop) = (1 << 40, 1 << 40, 1 << 40);
    (train.batch, train.accumulate, train.seed) = (16_384, 4096, i64::MAX.unsigned_abs());
    (train.blr, train.weight_decay, train.clip_grad) = (1.5, 2.0, 1e6);
    (train.ema_decay, train.max_unreadable) = (0.999_999, 1.0);
    recipe.check().expect("valid");
    recipe
}

#[test]
fn a_valid_recipe_survives_being_drawn() {
    let mut harness = open();
    // All of the form has room.
    harness.set_size(egui::vec2(1100.0, 1600.0));
    harness.state_mut().open(Tab::Train);
    harness.run_steps(2);
    harness.get_by_label("Shape").click();
    harness.run_steps(4);
    for recipe in [extreme(), Recipe::load("huge").expect("a preset"), Recipe::default()] {
        harness.state_mut().settings_mut().train.recipe = recipe.clone();
        harness.run_steps(3);
        harness.get_by_role_and_label(SpinButton, "Decoder heads");
        assert_eq!(harness.state().settings().train.recipe, recipe);
    }
}

#[test]
fn a_field_that_is_left_keeps_its_number_and_one_that_is_changed_its_range() {
    let mut harness = open();
    harness.state_mut().open(Tab::Train);
    // More digits than its field shows.
    let seed = (1 << 53) + 1;
    harness.state_mut().settings_mut().train.recipe.train.seed = seed;
    harness.run_steps(2);
    harness.get_by_role_and_label(SpinButton, "Seed").focus();
    harness.run_steps(2);
    harness.key_press(Key::Tab);
    harness.run_steps(2);
    assert_eq!(harness.state().settings().train.recipe.train.seed, seed);

    for (before, key, after) in
        [(1, Key::ArrowDown, 1), (1 << 40, Key::ArrowUp, 1_000_000_000), (1 << 40, Key::Tab, 1 << 40)]
    {
        harness.state_mut().settings_mut().train.recipe.train.steps = before;
        harness.run_steps(2);
        harness.get_by_role_and_label(SpinButton, "Steps").focus();
        harness.run_steps(2);
        harness.key_press(key);
        harness.run_steps(2);
        assert_eq!(harness.state().settings().train.recipe.train.steps, after, "{before} and {key:?}");
    }
}

#[test]
fn what_runs_is_not_changed_by_being_watched() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut harness = open();
    train_in(folder.path(), &mut harness);
    let recipe = &mut harness.state_mut().settings_mut().train.recipe;
    // Less and more than their sliders reach.
    (recipe.train.blr, recipe.model.mask_ratio) = (1e-7, 0.995);
    let set = recipe.clone();
    harness.run_steps(2);
    harness.get_by_label("Start").click();
    wait(&mut harness, "some steps", |app| app.train().step() >= 2);
    harness.get_by_label("Stop").click();
    wait(&mut harness, "the end", |app| app.train().phase() == Phase::Idle);
    assert_eq!(harness.state().settings().train.recipe, set);
    let run = RunFolder::recipe(&folder.path().join("micro-1")).expect("a run");
    assert_eq!((run.train.blr, run.model.mask_ratio), (1e-7, 0.995));
}
