//! A model that takes milliseconds a step, and pictures for it: for runs of the whole program.

use std::fs;
use std::path::Path;

use unmask::mae::MaeConfig;
use unmask::train::Recipe;

/// Folder of the pictures, and name of the recipe.
pub const PICTURES: &str = "pictures";
pub const RECIPE: &str = "nano.toml";

/// Writes twenty pictures, whose pixels `colour` tells by picture, x and y, and the recipe as `change` makes it, into
/// `folder`.
pub fn prepare(folder: &Path, mut colour: impl FnMut(u32, u32, u32) -> [u8; 3], change: impl FnOnce(&mut Recipe)) {
    let pictures = folder.join(PICTURES);
    fs::create_dir(&pictures).expect("a folder");
    for index in 0..20 {
        let pixels = image::RgbImage::from_fn(24, 24, |x, y| image::Rgb(colour(index, x, y)));
        pixels.save(pictures.join(format!("{index}.png"))).expect("written");
    }
    let mut recipe = Recipe::load("micro").expect("a preset");
    recipe.model = MaeConfig {
        image_size: 16,
        patch_size: 8,
        width: 16,
        depth: 1,
        heads: 1,
        decoder_width: 16,
        decoder_depth: 1,
        decoder_heads: 1,
        ..recipe.model
    };
    recipe.train.data = vec![PICTURES.to_owned()];
    recipe.train.batch = 2;
    recipe.train.steps = 20;
    change(&mut recipe);
    fs::write(folder.join(RECIPE), recipe.to_toml().expect("toml")).expect("written");
}
