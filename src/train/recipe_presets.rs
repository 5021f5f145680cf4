//! Recipes by name: the paper's, and one for small data.

use super::{Recipe, TrainRecipe};
use crate::mae::{self, MaeConfig, MaeError};

/// Optimiser steps of an epoch of ImageNet-1k at the paper's batch of 4096, the last incomplete one dropped. Holding out
/// 5,000 pictures changes that by less than half a percent.
const EPOCH: u64 = 1_281_167 / 4096;

/// Names and descriptions of the recipes.
pub const RECIPES: [(&str, &str); 4] = [
    (
        "paper-base",
        "ViT-B as in He et al. 2021, table 8, with normalised targets: 800 epochs of ImageNet-1k at batch 4096",
    ),
    ("paper-large", "ViT-L likewise"),
    ("paper-huge", "ViT-H likewise"),
    ("small-data", "a model of 96 pixels for some thousand pictures and hours on a laptop"),
];

/// The recipe called `name`, if there is one.
///
/// # Errors
/// None for names in [`RECIPES`].
pub fn recipe_preset(name: &str) -> Result<Option<Recipe>, MaeError> {
    let paper = |model: &str, batch: usize| -> Result<Recipe, MaeError> {
        let model = MaeConfig { norm_pix_loss: true, ..mae::preset(model)? };
        let train = TrainRecipe {
            steps: 800 * EPOCH,
            warmup_steps: 40 * EPOCH,
            batch,
            accumulate: 4096 / batch,
            blr: 1.5e-4,
            eval_every: EPOCH,
            checkpoint_every: EPOCH,
            preview_every: 10 * EPOCH,
            ..TrainRecipe::default()
        };
        Ok(Recipe { name: name.to_owned(), model, train })
    };
    Ok(Some(match name {
        "paper-base" => paper("base", 256)?,
        "paper-large" => paper("large", 128)?,
        "paper-huge" => paper("huge", 64)?,
        "small-data" => {
            let train = TrainRecipe {
                steps: 20_000,
                warmup_steps: 500,
                batch: 64,
                blr: 1e-2,
                ema_decay: 0.999,
                early_stop: 20,
                eval_every: 250,
                preview_every: 1000,
                ..TrainRecipe::default()
            };
            Recipe { name: name.to_owned(), model: mae::preset("mini")?, train }
        }
        _ => return Ok(None),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipes_are_whole_and_the_paper_s_rate_is_the_paper_s() {
        for (name, _) in RECIPES {
            let recipe = recipe_preset(name).expect("no error").expect("a recipe");
            recipe.check().expect("whole");
            if name.starts_with("paper") {
                assert_eq!(recipe.effective_batch(), 4096);
                // 1.5e-4 x 4096 / 256.
                assert!((recipe.schedule().lr - 2.4e-3).abs() < 1e-12);
            }
        }
        assert_eq!(recipe_preset("micro").expect("no error"), None);
    }
}
