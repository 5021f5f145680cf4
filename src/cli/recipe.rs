//! `unmask recipe`: recipes to start from.

use crate::mae::{self, PRESETS};
use crate::train::{RECIPES, Recipe};

/// Runs `unmask recipe`.
pub fn run(name: Option<&str>) -> anyhow::Result<()> {
    if let Some(name) = name {
        print!("{}", Recipe::load(name)?.to_toml_with_notes()?);
        return Ok(());
    }
    for (name, description) in RECIPES {
        println!("{name:<12} {description}");
    }
    for preset in PRESETS {
        let model = mae::preset(preset.name)?;
        let (side, patch) = (model.image_size, model.patch_size);
        println!(
            "{:<12} {side} pixels in patches of {patch}, {} wide, {} deep; decoder {} wide, {} deep",
            preset.name, model.width, model.depth, model.decoder_width, model.decoder_depth
        );
    }
    Ok(())
}
