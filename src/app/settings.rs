//! What the app remembers between starts.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::data::{GIVEN, SAMPLE};
use crate::ops::MaskStrategy;
use crate::train::Recipe;

/// The panels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tab {
    /// Pictures hidden and rebuilt.
    #[default]
    Explore,
    /// Models that learn.
    Train,
    /// What goes on inside a model.
    Inspect,
    /// How it works.
    Guide,
}

/// What the exploring panel is set to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExploreSettings {
    /// Share of hidden patches, 0 to 0.95.
    pub ratio: f64,
    /// How they are chosen.
    pub strategy: MaskStrategy,
    /// Which of the masks.
    pub seed: u32,
    /// Which built-in photograph, by name.
    pub photo: String,
    /// Which of the views are shown.
    pub views: [bool; 5],
    /// Reconstruction and original in one place, with a line to drag between them.
    pub wipe: bool,
    /// Where the line is, 0 to 1.
    pub wipe_at: f32,
}

impl Default for ExploreSettings {
    fn default() -> Self {
        ExploreSettings {
            ratio: 0.75,
            strategy: MaskStrategy::Random,
            seed: 0,
            // A picture that the shipped model rebuilds well.
            photo: "energy/cat_windmill12.jpg".to_owned(),
            views: [true, true, true, true, false],
            wipe: false,
            wipe_at: 0.5,
        }
    }
}

/// Whether `recipe` trains on files that were given.
pub fn is_given(recipe: &Recipe) -> bool {
    recipe.train.data == [GIVEN]
}

/// What the training panel is set to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainSettings {
    /// Model and training.
    pub recipe: Recipe,
    /// A folder or archive of pictures, the first of several, where it is not the built-in photographs.
    pub folder: Option<PathBuf>,
}

impl Default for TrainSettings {
    fn default() -> Self {
        TrainSettings { recipe: preset("micro"), folder: None }
    }
}

impl TrainSettings {
    /// Takes up the settings of a run.
    pub fn set_recipe(&mut self, recipe: Recipe) {
        self.folder = match recipe.train.data.as_slice() {
            [data] if data == SAMPLE || is_given(&recipe) => None,
            data => data.first().map(PathBuf::from),
        };
        self.recipe = recipe;
    }

    /// Trains on the pictures of `folders`.
    pub fn set_folders(&mut self, folders: Vec<PathBuf>) {
        self.recipe.train.data = folders.iter().map(|folder| folder.display().to_string()).collect();
        self.recipe.train.held_out.clear();
        self.folder = folders.into_iter().next();
    }

    /// Trains on files that were given.
    pub fn set_given(&mut self) {
        self.recipe.train.data = vec![GIVEN.to_owned()];
        self.recipe.train.held_out.clear();
        self.folder = None;
    }

    /// Trains on the built-in photographs.
    pub fn set_sample(&mut self) {
        self.recipe.train.data = vec![SAMPLE.to_owned()];
        self.recipe.train.held_out.clear();
        self.folder = None;
    }
}

/// The recipe of the preset `name`, as the command line has it but for how often it measures and saves.
pub fn preset(name: &str) -> Recipe {
    // Names come from the table of presets itself.
    named(name).unwrap_or_default()
}

/// As [`preset`], of what may be no preset: a run can be called by any name.
pub fn named(name: &str) -> Option<Recipe> {
    let mut recipe = Recipe::named(name).ok()?;
    recipe.train.eval_every = 50;
    recipe.train.checkpoint_every = 250;
    Some(recipe)
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Which panel is open.
    pub tab: Tab,
    /// Exploring.
    pub explore: ExploreSettings,
    /// Training.
    pub train: TrainSettings,
    /// Milliseconds that training may keep the device busy at a time.
    pub slice_ms: f64,
    /// Whether the list of shortcuts is open.
    #[serde(skip)]
    pub shortcuts: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            tab: Tab::default(),
            explore: ExploreSettings::default(),
            train: TrainSettings::default(),
            slice_ms: 8.0,
            shortcuts: false,
        }
    }
}
