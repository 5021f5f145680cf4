//! Every setting of a run, one struct for the command line, recipe files and run folders.

use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize};

use super::recipe_presets::{RECIPES, recipe_preset};
use super::recipe_text::{check_names, with_notes};
use super::{Schedule, TrainError};
use crate::data::{SAMPLE, read_text};
use crate::mae::{self, MaeConfig, MaeError};
use crate::ops::AdamW;

/// How pictures are cropped for training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Augment {
    /// Random resized crop, scale 0.2 to 1, and flip: the paper's.
    #[default]
    RandomCrop,
    /// The largest centred square, no flip.
    CentreCrop,
}

/// Number formats of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32-bit floats throughout.
    #[default]
    F32,
    /// Activations and what products read in 16-bit floats, all else in 32, with a loss that is scaled so that its
    /// gradients fit.
    Mixed,
}

/// A list of texts, of which a single one may stand without brackets.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a text, or a list of them as in [\"sample\"]")]
    enum Texts {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Texts::deserialize(deserializer)? {
        Texts::One(text) => vec![text],
        Texts::Many(texts) => texts,
    })
}

/// Settings of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainRecipe {
    /// `sample` for the built-in photographs, or folders; several are trained on together.
    #[serde(deserialize_with = "texts")]
    pub data: Vec<String>,
    /// The same, held out whole; where there is none, a tenth of `data` is.
    #[serde(deserialize_with = "texts")]
    pub held_out: Vec<String>,
    /// Optimiser steps.
    pub steps: u64,
    /// Pictures a micro-batch.
    pub batch: usize,
    /// Micro-batches a step.
    pub accumulate: usize,
    /// Base learning rate, scaled by effective batch / 256; 1e-3, for `micro` and `mini` 1e-2.
    pub blr: f64,
    /// Learning rate at the end.
    pub min_lr: f64,
    /// Steps of warm-up.
    pub warmup_steps: u64,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Largest gradient norm; 0 clips nothing.
    pub clip_grad: f32,
    /// Decay of the average of the weights that is kept beside them, such as 0.999; 0 keeps none.
    pub ema_decay: f32,
    /// Seed of initial weights, order, crops and masks.
    pub seed: u64,
    /// How pictures are cropped.
    pub augment: Augment,
    /// Number formats.
    pub precision: Precision,
    /// Compute what lies inside a block once more for its gradients instead of keeping it: the same bits, more
    /// arithmetic, far less memory.
    pub recompute: bool,
    /// Steps between measurements on held-out pictures; 0 for none but at start and end.
    pub eval_every: u64,
    /// Measurements on held-out pictures without a new best after which the run ends; 0 for never.
    pub early_stop: u64,
    /// Steps between checkpoints; 0 for one at the end alone.
    pub checkpoint_every: u64,
    /// Checkpoints kept beside the best.
    pub keep: usize,
    /// Steps between preview pictures; 0 for start and end alone.
    pub preview_every: u64,
    /// MiB of GPU memory for pixels; data that needs more streams.
    pub pixel_budget: u64,
    /// Share of the pictures that may be unreadable; each is named and skipped, and more of them are an error.
    pub max_unreadable: f64,
}

impl Default for TrainRecipe {
    fn default() -> Self {
        TrainRecipe {
            data: vec![SAMPLE.to_owned()],
            held_out: Vec::new(),
            steps: 1000,
            batch: 32,
            accumulate: 1,
            blr: 1e-3,
            min_lr: 0.0,
            warmup_steps: 50,
            weight_decay: 0.05,
            beta1: 0.9,
            beta2: 0.95,
            clip_grad: 0.0,
            ema_decay: 0.0,
            seed: 0,
            augment: Augment::RandomCrop,
            precision: Precision::F32,
            recompute: false,
            eval_every: 100,
            early_stop: 0,
            checkpoint_every: 500,
            keep: 3,
            preview_every: 0,
            pixel_budget: 1024,
            max_unreadable: 0.1,
        }
    }
}

/// Model and training: all that a run needs, and what `recipe.toml` holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Preset or file the model came from, for people.
    #[serde(default)]
    pub name: String,
    /// The model.
    pub model: MaeConfig,
    /// The training.
    #[serde(default)]
    pub train: TrainRecipe,
}

impl Default for Recipe {
    /// The preset `micro`.
    fn default() -> Self {
        // A name from the table of presets is a preset.
        Recipe::load("micro").expect("micro is a preset")
    }
}

impl Recipe {
    /// Its name as the names of files and folders can hold it, without where its file lies and how that ends.
    pub fn short_name(&self) -> String {
        let file = self.name.rsplit(['/', '\\']).next().unwrap_or_default();
        let refused = |c: char| c.is_control() || "<>:\"|?*".contains(c);
        let name = file.strip_suffix(".toml").unwrap_or(file).trim_matches(['.', ' ']).replace(refused, "-");
        if name.is_empty() { "run".to_owned() } else { name }
    }

    /// Whether it computes in 16 bits where it may.
    pub fn is_mixed(&self) -> bool {
        self.train.precision == Precision::Mixed
    }

    /// Of a recipe's or a preset's name.
    ///
    /// # Errors
    /// An unknown one, with those that there are.
    pub fn named(name: &str) -> Result<Recipe, TrainError> {
        if let Some(recipe) = recipe_preset(name)? {
            return Ok(recipe);
        }
        let model = mae::preset(name).map_err(|error| match error {
            MaeError::UnknownPreset { name, known } => {
                let recipes = RECIPES.map(|(name, ..)| name).join(", ");
                TrainError::Model(MaeError::UnknownPreset { name, known: format!("{known}, {recipes}") })
            }
            other => other.into(),
        })?;
        // Narrow models learn from small batches at rates that wide ones would not survive.
        let blr = if model.width < 256 && model.image_size < 224 { 1e-2 } else { TrainRecipe::default().blr };
        Ok(Recipe { name: name.to_owned(), model, train: TrainRecipe { blr, ..TrainRecipe::default() } })
    }

    /// Of a recipe's or a preset's name, or of a TOML file where `spec` ends in `.toml`.
    ///
    /// # Errors
    /// An unknown preset, an unreadable file, an unknown or missing key: each by name.
    pub fn load(spec: &str) -> Result<Recipe, TrainError> {
        if spec.ends_with(".toml") { Recipe::read(Path::new(spec)) } else { Recipe::named(spec) }
    }

    /// Of the TOML file at `path`.
    ///
    /// # Errors
    /// An unreadable file, an unknown or missing key: each by name.
    pub fn read(path: &Path) -> Result<Recipe, TrainError> {
        let shown = path.display().to_string();
        let text =
            read_text(path).map_err(|error| TrainError::Recipe { path: shown.clone(), reason: error.to_string() })?;
        let mut recipe = Recipe::parse(&shown, &text)?;
        if recipe.name.is_empty() {
            recipe.name = shown;
        }
        Ok(recipe)
    }

    /// Of the text of a TOML file; `path` names it in messages.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] for what is no TOML, an unknown or missing key, or a setting that
    /// [`check`](Recipe::check) refuses.
    pub fn parse(path: &str, text: &str) -> Result<Recipe, TrainError> {
        check_names(path, text)?;
        let recipe: Recipe = toml::from_str(text).map_err(|error| TrainError::Recipe {
            path: path.to_owned(),
            reason: error.to_string().trim_end().to_owned(),
        })?;
        recipe.check().map_err(|error| {
            let reason = match error {
                TrainError::Setting { field, value, expected } => format!("{field} = {value}: {expected}"),
                TrainError::Model(MaeError::Field { field, value, expected }) => {
                    format!("{field} = {value}: {expected}")
                }
                other => other.to_string(),
            };
            TrainError::Recipe { path: path.to_owned(), reason }
        })?;
        Ok(recipe)
    }

    /// As TOML.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] for what TOML cannot hold, such as a seed above 2^63 - 1.
    pub fn to_toml(&self) -> Result<String, TrainError> {
        toml::to_string(self)
            .map_err(|error| TrainError::Recipe { path: "recipe.toml".to_owned(), reason: error.to_string() })
    }

    /// As TOML, with a note above every setting.
    ///
    /// # Errors
    /// As [`Recipe::to_toml`].
    pub fn to_toml_with_notes(&self) -> Result<String, TrainError> {
        Ok(with_notes(&self.to_toml()?))
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// [`TrainError::Setting`] or the model's own, naming field, value and what was expected.
    pub fn check(&self) -> Result<(), TrainError> {
        let (m, t) = (&self.model, &self.train);
        let fail = |field: &'static str, value: String, expected: &str| {
            Err(TrainError::Setting { field, value, expected: expected.to_owned() })
        };
        if !(0.0..1.0).contains(&m.mask_ratio) {
            let expected = "expected more than 0 and less than 1, such as 0.75 for 75 %";
            return fail("mask_ratio", m.mask_ratio.to_string(), expected);
        }
        m.check()?;
        if m.visible() == m.patches() {
            let expected = format!(
                "hides none of the {} patches, and the loss is that of hidden ones; expected {}",
                m.patches(),
                if m.patches() == 1 { "a smaller patch_size" } else { "more than 0 and less than 1" }
            );
            return fail("mask_ratio", m.mask_ratio.to_string(), &expected);
        }
        if t.batch == 0 || t.batch > 16_384 {
            return fail("batch", t.batch.to_string(), "expected 1 to 16384");
        }
        if t.accumulate == 0 || t.accumulate > 4096 {
            return fail("accumulate", t.accumulate.to_string(), "expected 1 to 4096");
        }
        if t.data.is_empty() {
            return fail("data", "[]".to_owned(), "expected \"sample\" or a folder");
        }
        if t.steps == 0 {
            return fail("steps", t.steps.to_string(), "expected at least 1");
        }
        for (field, value) in [("blr", t.blr), ("min_lr", t.min_lr), ("weight_decay", f64::from(t.weight_decay))] {
            if !(value >= 0.0 && value.is_finite()) {
                return fail(field, value.to_string(), "expected a number of at least 0");
            }
        }
        for (field, value) in [("beta1", t.beta1), ("beta2", t.beta2), ("ema_decay", t.ema_decay)] {
            if !(0.0..1.0).contains(&value) {
                return fail(field, value.to_string(), "expected 0 to under 1");
            }
        }
        if !(t.clip_grad >= 0.0 && t.clip_grad.is_finite()) {
            return fail("clip_grad", t.clip_grad.to_string(), "expected a number of at least 0");
        }
        if !(0.0..=1.0).contains(&t.max_unreadable) {
            return fail("max_unreadable", t.max_unreadable.to_string(), "expected 0 to 1");
        }
        if i64::try_from(t.seed).is_err() {
            return fail("seed", t.seed.to_string(), "expected at most 9223372036854775807");
        }
        if t.keep == 0 {
            return fail("keep", t.keep.to_string(), "expected at least 1");
        }
        Ok(())
    }

    /// Pictures an optimiser step.
    pub fn effective_batch(&self) -> usize {
        self.train.batch * self.train.accumulate
    }

    /// The learning rate of every step.
    pub fn schedule(&self) -> Schedule {
        Schedule {
            lr: self.train.blr * self.effective_batch() as f64 / 256.0,
            min_lr: self.train.min_lr,
            warmup: self.train.warmup_steps,
            steps: self.train.steps,
        }
    }

    /// The optimiser.
    pub fn optimiser(&self) -> AdamW {
        let t = &self.train;
        AdamW { beta1: t.beta1, beta2: t.beta2, eps: 1e-8, weight_decay: t.weight_decay }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_come_back_as_they_were_written() {
        let mut recipe = Recipe::load("mini").expect("a preset");
        recipe.train.batch = 7;
        recipe.model.mask_ratio = 0.5;
        let text = recipe.to_toml().expect("toml");
        assert_eq!(Recipe::parse("r.toml", &text).expect("a recipe"), recipe);
    }

    #[test]
    fn the_recipe_small_data_is_read_as_shells_and_editors_write_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("mine.toml");
        let want = Recipe::load("small-data").expect("a preset");
        let text = want.to_toml_with_notes().expect("toml").replace('\n', "\r\n");
        // Windows PowerShell, Notepad.
        let powershell: Vec<u8> =
            "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        for bytes in [powershell, format!("\u{feff}{text}").into_bytes()] {
            std::fs::write(&file, bytes).expect("written");
            assert_eq!(Recipe::load(&file.display().to_string()).expect("a recipe"), want);
        }
        std::fs::write(&file, b"# gr\xf6\xdfe\n").expect("written");
        let error = Recipe::load(&file.display().to_string()).expect_err("another encoding").to_string();
        assert!(error.contains("mine.toml: expected a text in UTF-8, or in UTF-16 with"), "{error}");
    }

    #[test]
    fn names_of_recipes_become_names_of_files() {
        for (name, want) in [
            ("small-data", "small-data"),
            ("configs/mine.toml", "mine"),
            ("C:\\configs\\mine.v2.toml", "mine.v2"),
            ("a <b>: \u{e4}\n", "a -b-- \u{e4}-"),
            ("..", "run"),
            ("", "run"),
        ] {
            assert_eq!(Recipe { name: name.to_owned(), ..Recipe::default() }.short_name(), want, "{name}");
        }
    }

    #[test]
    fn a_single_place_of_data_needs_no_brackets() {
        let text = Recipe::default().to_toml().expect("toml");
        let with = |data: &str| Recipe::parse("r.toml", &text.replace("data = [\"sample\"]", data));
        assert_eq!(with("data = \"photos\"").expect("a recipe").train.data, ["photos"]);
        assert_eq!(with("data = [\"a\", \"b\"]").expect("a recipe").train.data, ["a", "b"]);
        let error = with("data = 5").expect_err("a number").to_string();
        assert!(error.contains("expected a text, or a list of them"), "{error}");
    }

    #[test]
    fn bad_recipes_are_named() {
        let good = Recipe::load("micro").expect("a preset").to_toml().expect("toml");
        let message = |text: &str| Recipe::parse("r.toml", text).expect_err("bad").to_string();
        let text = message(&good.replace("batch = 32", "bacth = 32"));
        assert!(text.starts_with("r.toml:") && text.contains("bacth") && text.contains("batch"), "{text}");
        let text = message(&good.replace("batch = 32", "batch = 0"));
        assert_eq!(text, "r.toml: batch = 0: expected 1 to 16384");
        let text = message(&good.replace("mask_ratio = 0.75", "mask_ratio = 75"));
        assert_eq!(text, "r.toml: mask_ratio = 75: expected more than 0 and less than 1, such as 0.75 for 75 %");
        let text = message(&good.replace("width = 128", "width = 126"));
        assert!(text.starts_with("r.toml: width = 126"), "{text}");
        let text = Recipe::load("no-such.toml").expect_err("missing").to_string();
        assert!(text.starts_with("no-such.toml: "), "{text}");
    }
}
