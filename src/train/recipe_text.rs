//! Recipes as text: every setting with a note on it, and unknown names told with the nearest known one.

use super::{Recipe, TrainError};

/// What stands above each setting of a written recipe.
const NOTES: [(&str, &str); 44] = [
    ("name", "preset or file the model came from, for people"),
    ("model.image_size", "side of the square pictures, in pixels"),
    ("model.patch_size", "side of a patch, in pixels; divides image_size"),
    ("model.width", "encoder: numbers a token, a multiple of 4 and of heads"),
    ("model.depth", "encoder: blocks"),
    ("model.heads", "encoder: attention heads"),
    ("model.mlp", "encoder: hidden width of the MLPs; 0 means four times the width"),
    ("model.decoder_width", "decoder: numbers a token"),
    ("model.decoder_depth", "decoder: blocks"),
    ("model.decoder_heads", "decoder: attention heads"),
    ("model.decoder_mlp", "decoder: hidden width of the MLPs; 0 means four times the width"),
    ("model.mask_ratio", "share of hidden patches, above 0 and under 1"),
    ("model.mask_strategy", "how hidden patches are chosen: random, block or grid"),
    ("model.norm_pix_loss", "whether targets are normalised patch by patch"),
    ("model.layer_norm_eps", "added to variances in layer norms"),
    ("model.pixel_mean", "subtracted from pixels between 0 and 1, by channel"),
    ("model.pixel_std", "what they are then divided by"),
    ("model.encoder_sees_masks", "put mask tokens through the encoder: the paper's costly variant"),
    ("train.data", "sample for the built-in photographs, or folders, archives, lists; several are joined"),
    ("train.held_out", "the same, never trained on and measured instead of a tenth of data; [] for that tenth"),
    ("train.steps", "optimiser steps in all"),
    ("train.batch", "pictures a micro-batch"),
    ("train.accumulate", "micro-batches a step; the effective batch is batch x accumulate"),
    ("train.blr", "base learning rate; the rate is this times effective batch / 256"),
    ("train.min_lr", "learning rate at the end of the cosine"),
    ("train.warmup_steps", "steps of linear warm-up"),
    ("train.weight_decay", "decoupled weight decay, of matrices and tokens, not of biases and norms"),
    ("train.beta1", "decay of AdamW's first moment"),
    ("train.beta2", "decay of AdamW's second moment"),
    ("train.clip_grad", "largest norm of all gradients; 0 clips nothing"),
    ("train.ema_decay", "decay of the average of the weights kept beside them, such as 0.999; 0 keeps none"),
    ("train.seed", "seed of initial weights, order, crops and masks"),
    ("train.augment", "random-crop (scale 0.2 to 1, and flip) or centre-crop"),
    (
        "train.precision",
        "number formats: f32, or mixed: 16-bit floats where these suffice, in less memory and time on most GPUs",
    ),
    ("train.recompute", "compute a block's inside again for its gradients: the same result, slower, far less memory"),
    ("train.eval_every", "steps between measurements on held-out pictures; 0 for none but at start and end"),
    ("train.early_stop", "measurements without a new best after which the run ends; 0 for never"),
    (
        "train.checkpoint_every",
        "steps between checkpoints, or half an hour where they take longer; 0 for one at the end alone",
    ),
    ("train.keep", "checkpoints kept beside the best"),
    ("train.preview_every", "steps between preview pictures; 0 for start and end alone"),
    ("train.pixel_budget", "MiB of GPU memory for pixels; data that needs more streams"),
    ("train.max_unreadable", "share of the pictures that may be unreadable; more are an error"),
    ("model", "THE MODEL (He et al. 2021, section 3)"),
    ("train", "TRAINING (named as in He et al. 2021, table 8)"),
];

fn note(path: &str) -> Option<&'static str> {
    NOTES.iter().find(|(known, _)| *known == path).map(|(_, note)| *note)
}

/// `toml`, as this program writes it, with a note above every setting.
pub fn with_notes(toml: &str) -> String {
    let (mut section, mut text) = (String::new(), String::new());
    for line in toml.lines() {
        let key = line.split(" = ").next().unwrap_or_default();
        let path = match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(name) => {
                section = format!("{name}.");
                name.to_owned()
            }
            None => format!("{section}{key}"),
        };
        if let Some(note) = note(&path) {
            text += &format!("# {note}\n");
        }
        text += line;
        text.push('\n');
    }
    text
}

/// Fails where the text of a recipe has a name that no setting bears, with the nearest that one does.
///
/// # Errors
/// [`TrainError::Recipe`] with the name, its section and what is near.
pub fn check_names(path: &str, text: &str) -> Result<(), TrainError> {
    // What is no TOML is told better by the parser that reads it next.
    let Ok(table) = text.parse::<toml::Table>() else { return Ok(()) };
    let known = toml::Table::try_from(Recipe::default());
    let known = known.map_err(|error| TrainError::Recipe { path: path.to_owned(), reason: error.to_string() })?;
    let check = |place: &str, found: &toml::Table, known: &toml::Table| {
        let Some(name) = found.keys().find(|name| !known.contains_key(*name)) else { return Ok(()) };
        let near = known.keys().map(|known| (strsim::damerau_levenshtein(name, known), known)).min();
        let hint = match near {
            Some((distance, near)) if distance <= 1 + name.len() / 3 => format!("did you mean \"{near}\"?"),
            _ => format!("expected one of {}", known.keys().cloned().collect::<Vec<_>>().join(", ")),
        };
        let reason = format!("unknown name \"{name}\"{place}; {hint}");
        Err(TrainError::Recipe { path: path.to_owned(), reason })
    };
    check("", &table, &known)?;
    for (section, inner) in &known {
        if let (Some(found), toml::Value::Table(known)) = (table.get(section).and_then(|x| x.as_table()), inner) {
            check(&format!(" in [{section}]"), found, known)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_a_note_and_every_note_a_setting() {
        let table = toml::Table::try_from(Recipe::default()).expect("a table");
        let mut paths: Vec<String> = Vec::new();
        for (key, value) in &table {
            paths.push(key.clone());
            let inner = value.as_table().into_iter().flat_map(|inner| inner.keys());
            paths.extend(inner.map(|inner| format!("{key}.{inner}")));
        }
        paths.sort();
        let mut noted: Vec<String> = NOTES.iter().map(|(path, _)| (*path).to_owned()).collect();
        noted.sort();
        assert_eq!(paths, noted);
    }

    #[test]
    fn a_written_recipe_reads_back_with_its_notes() {
        let recipe = Recipe::default();
        let text = with_notes(&recipe.to_toml().expect("toml"));
        assert!(text.contains("# side of a patch, in pixels; divides image_size\npatch_size = 8\n"), "{text}");
        assert_eq!(Recipe::parse("r.toml", &text).expect("a recipe"), recipe);
    }

    #[test]
    fn near_names_are_suggested() {
        let text = Recipe::default().to_toml().expect("toml");
        let error = |from: &str, to: &str| check_names("r.toml", &text.replace(from, to)).expect_err("bad").to_string();
        assert_eq!(error("batch = ", "bacth = "), "r.toml: unknown name \"bacth\" in [train]; did you mean \"batch\"?");
        assert_eq!(error("heads = 4", "head = 4").matches("did you mean").count(), 1);
        assert!(error("name = ", "frobnicate = ").contains("unknown name \"frobnicate\"; expected one of model, name"));
    }
}
