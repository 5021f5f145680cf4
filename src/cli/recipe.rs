//! `unmask recipe`: recipes to start from.

use serde_json::json;

use super::args::Common;
use super::progress::{json_line, out, print};
use crate::mae::{self, PRESETS};
use crate::train::{RECIPES, Recipe};

/// Runs `unmask recipe`.
pub fn run(common: &Common, name: Option<&str>) -> anyhow::Result<()> {
    if let Some(name) = name {
        let recipe = Recipe::load(name)?;
        return if common.json { json_line(&recipe) } else { print(format_args!("{}", recipe.to_toml_with_notes()?)) };
    }
    let mut known: Vec<(&str, String)> = RECIPES.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
    for preset in PRESETS {
        let model = mae::preset(preset.name)?;
        let (side, patch) = (model.image_size, model.patch_size);
        let text = format!(
            "{side} pixels in patches of {patch}, {} wide, {} deep; decoder {} wide, {} deep",
            model.width, model.depth, model.decoder_width, model.decoder_depth
        );
        known.push((preset.name, text));
    }
    for (name, description) in known {
        match common.json {
            true => json_line(&json!({ "name": name, "description": description }))?,
            false => out!("{name:<12} {description}")?,
        }
    }
    Ok(())
}
