//! The settings of a run, with what it will take.

use eframe::egui;

use super::Ask;
use crate::app::settings::{self, TrainSettings};
use crate::app::widgets::setting as set;
use crate::app::{theme, widgets};
use crate::data::SAMPLE;
use crate::gpu::Gpu;
use crate::graph::Caps;
use crate::mae::PRESETS;
use crate::ops::MaskStrategy;
use crate::platform;
use crate::train::{Augment, Estimate, Precision, Recipe, TrainRecipe, estimate};

/// What the settings were when they were last estimated, and what came of it.
#[derive(Default)]
pub struct Form {
    checked: Option<Recipe>,
    estimate: Option<Result<Estimate, String>>,
}

impl Form {
    /// Whether a run can be started.
    pub fn fits(&self) -> bool {
        matches!(self.estimate, Some(Ok(_)))
    }

    /// Estimates memory anew where settings changed.
    fn check(&mut self, recipe: &Recipe, gpu: &Gpu) {
        if self.checked.as_ref() == Some(recipe) {
            return;
        }
        self.checked = Some(recipe.clone());
        let found = recipe.check().and_then(|()| estimate(recipe, Caps::of(gpu)));
        self.estimate = Some(found.map_err(|error| match error {
            crate::train::TrainError::DoesNotFit { .. } => match largest_batch(recipe, gpu) {
                Some(batch) => format!("{error}. A batch of {batch} fits"),
                None => error.to_string(),
            },
            _ => error.to_string(),
        }));
    }

    /// Draws the settings; `given` files were given to train on.
    pub fn ui(&mut self, ui: &mut egui::Ui, settings: &mut TrainSettings, given: usize, gpu: &Gpu) -> Option<Ask> {
        self.check(&settings.recipe, gpu);
        match &self.estimate {
            Some(Ok(estimate)) => {
                ui.label(format!("{} to train", widgets::count(estimate.trained)));
                ui.label(format!("{} of memory", widgets::bytes(estimate.bytes()))).on_hover_text(estimate.to_string());
            }
            Some(Err(error)) => {
                ui.colored_label(theme::ERROR, error);
            }
            None => {}
        }
        ui.separator();
        let ask = data(ui, settings, given);
        let base = settings::named(&settings.recipe.name).unwrap_or_else(|| settings.recipe.clone());
        egui::Grid::new("model").num_columns(2).spacing([12.0, 6.0]).show(ui, |ui| {
            ui.label("Model").on_hover_text("a named shape; the larger, the slower, and the more pictures it needs");
            let mut chosen = settings.recipe.name.clone();
            let combo = egui::ComboBox::from_id_salt("preset").selected_text(&chosen).show_ui(ui, |ui| {
                for preset in PRESETS {
                    let model = settings::preset(preset.name).model;
                    let hint = format!("{} px, patches of {}", model.image_size, model.patch_size);
                    ui.selectable_value(&mut chosen, preset.name.to_owned(), preset.name).on_hover_text(hint);
                }
            });
            widgets::name(&combo.response, "Model");
            if chosen != settings.recipe.name {
                let TrainRecipe { data, held_out, .. } = settings.recipe.train.clone();
                settings.recipe = settings::preset(&chosen);
                (settings.recipe.train.data, settings.recipe.train.held_out) = (data, held_out);
            }
            ui.end_row();
            training(ui, &mut settings.recipe, &base);
        });
        egui::CollapsingHeader::new("Shape").show(ui, |ui| {
            egui::Grid::new("shape").num_columns(2).spacing([12.0, 6.0]).show(ui, |ui| {
                shape(ui, &mut settings.recipe, &base);
            });
        });
        ask
    }
}

fn data(ui: &mut egui::Ui, settings: &mut TrainSettings, given: usize) -> Option<Ask> {
    let mut ask = None;
    ui.label("Data")
        .on_hover_text("pictures to learn from; one in ten, 5,000 at most, is held out and never trained on");
    ui.horizontal_wrapped(|ui| {
        if ui.radio(settings.recipe.train.data == [SAMPLE], "built-in photographs").clicked() {
            settings.set_sample();
        }
        if platform::HAS_FOLDERS {
            let name = match (&settings.folder, settings.recipe.train.data.len()) {
                (Some(folder), count) => {
                    let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy();
                    if count > 1 { format!("{name} and {} more", count - 1) } else { name.into_owned() }
                }
                (None, _) => "folder…".to_owned(),
            };
            let hint = "pictures in a folder and all below it, or tar, zip, IDX, NumPy or Parquet files in it; or drop one here";
            if ui.radio(settings.folder.is_some(), name).on_hover_text(hint).clicked() {
                ask = Some(Ask::Folder);
            }
        }
        let is_given = settings::is_given(&settings.recipe);
        let name = if given > 0 { format!("{given} pictures") } else { "pictures…".to_owned() };
        if ui.radio(is_given, name).on_hover_text("picture files, or archives or arrays of pictures; or drop them, or a folder of them, here").clicked() {
            match given > 0 && !is_given {
                true => settings.set_given(),
                false => ask = Some(Ask::Pictures),
            }
        }
    });
    ui.separator();
    ask
}

fn number<N: egui::emath::Numeric>(
    range: std::ops::RangeInclusive<N>,
    speed: f64,
) -> impl FnOnce(&mut egui::Ui, &mut N) -> egui::Response {
    move |ui, value| widgets::number(ui, value, range, speed)
}

/// What a run learns by. Ranges are those of [`Recipe::check`], or hold all that makes sense where it knows no end.
fn training(ui: &mut egui::Ui, recipe: &mut Recipe, base: &Recipe) {
    let (t, default) = (&mut recipe.train, &base.train);
    set(ui, "Steps", "optimiser steps of the whole run", &mut t.steps, &default.steps, number(1..=1_000_000_000, 10.0));
    set(
        ui,
        "Batch",
        "pictures of one forward and backward pass",
        &mut t.batch,
        &default.batch,
        number(1..=16_384, 0.2),
    );
    let hint = "micro-batches a step: a larger batch without more memory";
    set(ui, "Accumulate", hint, &mut t.accumulate, &default.accumulate, number(1..=4096, 0.1));
    let hint = "base learning rate; the actual one is blr × effective batch / 256";
    set(ui, "blr", hint, &mut t.blr, &default.blr, number(0.0..=1.0, 1e-4));
    let hint = "steps in which the learning rate rises from zero";
    set(ui, "Warm-up steps", hint, &mut t.warmup_steps, &default.warmup_steps, number(0..=1_000_000_000, 1.0));
    let hint = "AdamW's decoupled weight decay, of all but biases and layer norms";
    set(ui, "Weight decay", hint, &mut t.weight_decay, &default.weight_decay, number(0.0..=1.0, 1e-3));
    let hint = "largest norm of all gradients; 0 clips nothing";
    set(ui, "Clip gradients", hint, &mut t.clip_grad, &default.clip_grad, number(0.0..=100.0, 0.05));
    let hint = "share of hidden patches, more than 0 and less than 1; the paper hides 0.75";
    set(ui, "Mask ratio", hint, &mut recipe.model.mask_ratio, &base.model.mask_ratio, number(0.01..=0.999, 0.01));
    let hint = "how hidden patches are chosen";
    set(ui, "Mask strategy", hint, &mut recipe.model.mask_strategy, &base.model.mask_strategy, |ui, value| {
        let combo = egui::ComboBox::from_id_salt("train strategy").selected_text(value.name()).show_ui(ui, |ui| {
            for strategy in MaskStrategy::ALL {
                ui.selectable_value(value, strategy, strategy.name());
            }
        });
        combo.response
    });
    let hint = "norm_pix_loss: targets are patches normalised one by one; better features, paler pictures";
    set(ui, "Normalised patches", hint, &mut recipe.model.norm_pix_loss, &base.model.norm_pix_loss, |ui, value| {
        ui.checkbox(value, "")
    });
    let t = &mut recipe.train;
    let hint = "random resized crop and flip, or the centred square as it is";
    set(ui, "Augmentation", hint, &mut t.augment, &default.augment, |ui, value| {
        let text = |augment| match augment {
            Augment::RandomCrop => "random crop and flip",
            Augment::CentreCrop => "none",
        };
        let combo = egui::ComboBox::from_id_salt("augment").selected_text(text(*value)).show_ui(ui, |ui| {
            for augment in [Augment::RandomCrop, Augment::CentreCrop] {
                ui.selectable_value(value, augment, text(augment));
            }
        });
        combo.response
    });
    let hint = "of initial weights, order, crops and masks: the same seed on the same adapter gives the same bits";
    set(ui, "Seed", hint, &mut t.seed, &default.seed, number(0..=i64::MAX.unsigned_abs(), 0.1));
    let hint =
        "number formats: 32-bit floats, or 16-bit ones where these suffice: less memory, and on most GPUs less time";
    set(ui, "Precision", hint, &mut t.precision, &default.precision, |ui, value| {
        let text = |precision| match precision {
            Precision::F32 => "f32",
            Precision::Mixed => "mixed",
        };
        let combo = egui::ComboBox::from_id_salt("precision").selected_text(text(*value)).show_ui(ui, |ui| {
            for precision in [Precision::F32, Precision::Mixed] {
                ui.selectable_value(value, precision, text(precision));
            }
        });
        combo.response
    });
    let hint = "compute the inside of each block again for its gradients: slower, far less memory, the same bits";
    set(ui, "Recompute", hint, &mut t.recompute, &default.recompute, |ui, value| ui.checkbox(value, ""));
    let hint = "decay of the average of the weights that is kept beside them, such as 0.999; 0 keeps none";
    set(ui, "Average (EMA)", hint, &mut t.ema_decay, &default.ema_decay, number(0.0..=1f32.next_down(), 1e-3));
    let hint = "measurements on held-out pictures without a new best after which the run ends; 0 for never";
    set(ui, "Early stop", hint, &mut t.early_stop, &default.early_stop, number(0..=1_000_000, 0.1));
    let hint = "share of the pictures that may be unreadable: so many are skipped, and more of them end the run";
    set(ui, "Max unreadable", hint, &mut t.max_unreadable, &default.max_unreadable, number(0.0..=1.0, 0.01));
}

fn shape(ui: &mut egui::Ui, recipe: &mut Recipe, base: &Recipe) {
    let (m, default) = (&mut recipe.model, &base.model);
    let hint = "side of the square pictures, pixels";
    set(ui, "Image size", hint, &mut m.image_size, &default.image_size, number(1..=4096, 1.0));
    let hint = "side of a patch, pixels";
    set(ui, "Patch size", hint, &mut m.patch_size, &default.patch_size, number(1..=256, 0.1));
    set(ui, "Width", "numbers a token in the encoder", &mut m.width, &default.width, number(4..=8192, 4.0));
    set(ui, "Depth", "blocks of the encoder", &mut m.depth, &default.depth, number(1..=256, 0.1));
    set(ui, "Heads", "attention heads of the encoder", &mut m.heads, &default.heads, number(1..=256, 0.1));
    let hint = "numbers a token in the decoder";
    set(ui, "Decoder width", hint, &mut m.decoder_width, &default.decoder_width, number(4..=8192, 4.0));
    let hint = "blocks of the decoder";
    set(ui, "Decoder depth", hint, &mut m.decoder_depth, &default.decoder_depth, number(1..=256, 0.1));
    let hint = "attention heads of the decoder";
    set(ui, "Decoder heads", hint, &mut m.decoder_heads, &default.decoder_heads, number(1..=256, 0.1));
}

/// The largest batch that is a power of two and fits.
fn largest_batch(recipe: &Recipe, gpu: &Gpu) -> Option<usize> {
    let mut smaller = recipe.clone();
    let mut batch = recipe.train.batch.next_power_of_two() / 2;
    while batch >= 1 {
        smaller.train.batch = batch;
        if estimate(&smaller, Caps::of(gpu)).is_ok() {
            return Some(batch);
        }
        batch /= 2;
    }
    None
}
