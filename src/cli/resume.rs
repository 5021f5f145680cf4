//! What `unmask train --resume` asks of a run: its own settings, and those that were given anew.

use std::path::Path;

use anyhow::{Context as _, bail};
use toml::{Table, Value};

use super::args::TrainArgs;
use crate::data::read_text;
use crate::mae::MaeConfig;
use crate::train::Recipe;

/// The settings of `run` with all that was given: by options, and by `--model`, of which a recipe file gives
/// what it holds, and a name the shape of the model alone.
///
/// # Errors
/// Options that make no recipe, a recipe that cannot be read.
pub fn wanted(args: &TrainArgs, run: &Recipe) -> anyhow::Result<Recipe> {
    let mut recipe = match &args.model {
        None => run.clone(),
        Some(file) if file.ends_with(".toml") => with_file(run, file)?,
        Some(name) => with_shape(run.clone(), Recipe::load(name)?.model),
    };
    args.apply(&mut recipe)?;
    Ok(recipe)
}

/// Fails where `wanted` has fewer steps than `run`: the rates of steps that are done depend on how many there are.
///
/// # Errors
/// Both numbers.
pub fn check_steps(run: &Recipe, wanted: &Recipe) -> anyhow::Result<()> {
    let (has, asked) = (run.train.steps, wanted.train.steps);
    if asked < has {
        bail!(
            "a run that goes on cannot have fewer steps: steps = {asked} was asked for, the run has steps = {has}; \
             expected at least as many (--stop-after ends a session earlier)"
        );
    }
    Ok(())
}

/// `run` with the settings that `file` holds.
fn with_file(run: &Recipe, file: &str) -> anyhow::Result<Recipe> {
    let mut text = run.to_toml()?.parse::<Table>()?;
    // Wrong names and values are told as for a run that starts.
    Recipe::load(file)?;
    for (section, given) in read_text(Path::new(file)).context(file.to_owned())?.parse::<Table>()? {
        if let (Value::Table(given), Some(Value::Table(section))) = (given, text.get_mut(&section)) {
            section.extend(given);
        }
    }
    Ok(Recipe::parse(file, &toml::to_string(&text)?)?)
}

/// `run` with the shape of `model`; what options of their own set stays.
fn with_shape(mut run: Recipe, model: MaeConfig) -> Recipe {
    let MaeConfig { mask_ratio, mask_strategy, norm_pix_loss, encoder_sees_masks, pixel_mean, pixel_std, .. } =
        run.model;
    run.model =
        MaeConfig { mask_ratio, mask_strategy, norm_pix_loss, encoder_sees_masks, pixel_mean, pixel_std, ..model };
    run
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_and_steps_of_a_file_that_powershell_wrote_are_taken_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("more.toml");
        let run = Recipe::load("micro").expect("a preset");
        let mut more = run.clone();
        (more.train.data, more.train.steps) = (vec!["elsewhere".to_owned()], 5000);
        let text = format!("\u{feff}{}", more.to_toml().expect("toml"));
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        std::fs::write(&file, bytes).expect("written");
        assert_eq!(with_file(&run, &file.display().to_string()).expect("a recipe"), more);
    }
}
