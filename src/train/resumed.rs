//! Which settings of a run may change when it goes on.

use toml::{Table, Value};

use super::{Recipe, TrainError};

/// Settings that a run can take up between two steps. All others are part of what its state means: shapes, the order
/// of samples, what is kept beside the weights.
const CHANGEABLE: [&str; 17] = [
    "model.mask_ratio",
    "train.data",
    "train.held_out",
    "train.steps",
    "train.blr",
    "train.min_lr",
    "train.warmup_steps",
    "train.weight_decay",
    "train.clip_grad",
    "train.recompute",
    "train.eval_every",
    "train.early_stop",
    "train.checkpoint_every",
    "train.keep",
    "train.preview_every",
    "train.pixel_budget",
    "train.max_unreadable",
];

impl Recipe {
    /// The settings with which a run of these settings goes on where `wanted` is asked for; its steps are never fewer.
    ///
    /// # Errors
    /// [`TrainError::Fixed`] for the first setting that differs and cannot change.
    pub fn resumed(&self, wanted: &Recipe) -> Result<Recipe, TrainError> {
        for [name, run, given] in differences(&table(self)?, &table(wanted)?) {
            if !CHANGEABLE.contains(&name.as_str()) {
                let field = name.rsplit('.').next().unwrap_or_default().to_owned();
                return Err(TrainError::Fixed { field, run, given });
            }
        }
        let mut recipe = wanted.clone();
        recipe.name.clone_from(&self.name);
        recipe.train.steps = recipe.train.steps.max(self.train.steps);
        Ok(recipe)
    }
}

fn table(recipe: &Recipe) -> Result<Table, TrainError> {
    Table::try_from(recipe)
        .map_err(|error| TrainError::Recipe { path: "recipe.toml".to_owned(), reason: error.to_string() })
}

/// Settings of the sections of two recipes that differ: name, one value, the other.
fn differences(a: &Table, b: &Table) -> Vec<[String; 3]> {
    let mut found = Vec::new();
    for (section, a) in a {
        let (Value::Table(a), Some(Value::Table(b))) = (a, b.get(section)) else { continue };
        for (key, a) in a {
            if let Some(b) = b.get(key).filter(|b| *b != a) {
                found.push([format!("{section}.{key}"), a.to_string(), b.to_string()]);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_change_is_taken_and_what_cannot_is_named() {
        let run = Recipe::default();
        let mut wanted = run.clone();
        wanted.name = "other".to_owned();
        wanted.train.blr = 0.5;
        wanted.train.data = vec!["elsewhere".to_owned()];
        wanted.train.steps = 10;
        let resumed = run.resumed(&wanted).expect("all of it can change");
        assert_eq!((resumed.train.blr, &resumed.train.data), (0.5, &wanted.train.data));
        assert_eq!((resumed.train.steps, &resumed.name), (run.train.steps, &run.name), "what stays");
        wanted.train.batch = 16;
        let text = run.resumed(&wanted).expect_err("fixed").to_string();
        assert!(text.contains("batch = 16") && text.contains("batch = 32"), "{text}");
        let text = run.resumed(&Recipe::load("mini").expect("a preset")).expect_err("fixed").to_string();
        assert!(text.contains("the run has "), "{text}");
    }

    #[test]
    fn every_setting_that_can_change_exists() {
        let table = table(&Recipe::default()).expect("a table");
        for name in CHANGEABLE {
            let (section, key) = name.split_once('.').expect("a section");
            assert!(table[section].as_table().is_some_and(|section| section.contains_key(key)), "{name}");
        }
    }
}
