//! `unmask convert`: weights from one layout to another.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::args::{Common, ConvertArgs, To};
use super::progress::{json_line, say};
use super::weights;
use crate::platform::write_whole;
use crate::train::{OnnxPart, Opened, config_metadata, export_onnx, hub_config, hub_preprocessor, model_params};
use crate::weights::{Layout, Storage, TensorSource as _, WeightsError, outputs, write_safetensors, write_torch};

/// Writes an ONNX file.
fn onnx(common: &Common, args: &ConvertArgs, model: &Opened) -> anyhow::Result<()> {
    if args.f16 {
        bail!("--f16 does not go with --to onnx, whose numbers are 32-bit floats");
    }
    export_onnx(model, if args.whole { OnnxPart::Whole } else { OnnxPart::Encoder }, &args.out)?;
    if common.json {
        return json_line(&json!({
            "in": args.input, "out": args.out, "whole": args.whole, "model": model.config, "assumed": model.assumed,
        }));
    }
    model.assumed.iter().for_each(|text| say(common, format_args!("note: {text}")));
    let (inputs, outputs) = match args.whole {
        true => ("pixel_values and noise", "logits, mask and ids_restore"),
        false => ("pixel_values", "last_hidden_state"),
    };
    say(common, format_args!("wrote {}: {inputs} in, {outputs} out", args.out.display()));
    Ok(())
}

/// Refuses names of files that say that they hold something else: what lies there would be gone.
fn check_name(args: &ConvertArgs) -> anyhow::Result<()> {
    let endings: &[&str] = match args.to {
        To::Native | To::Timm => &["safetensors"],
        To::Original => &["pth", "pt", "bin"],
        To::Onnx => &["onnx"],
        // A folder.
        To::Hf => return Ok(()),
    };
    let ending = args.out.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if !endings.contains(&ending) {
        let expected = endings.iter().map(|ending| format!(".{ending}")).collect::<Vec<_>>().join(" or ");
        bail!("{}: expected a name that ends in {expected}", args.out.display());
    }
    Ok(())
}

/// Runs `unmask convert`.
pub fn run(common: &Common, args: &ConvertArgs) -> anyhow::Result<()> {
    let model = Opened::open(&weights::local(common, &args.input)?, &args.hints.hints())?;
    let whole = model.weights.has_decoder();
    // Every tensor of the model has to be there, in its shape.
    let expected = model_params(&model.config)?;
    let expected = expected.iter().filter(|(name, _)| whole || name.starts_with("vit."));
    for (name, shape) in expected.clone() {
        model.weights.expect(name, shape)?;
    }
    if let Some(name) = model
        .weights
        .shapes()
        .iter()
        .map(|(name, _)| *name)
        .find(|name| !expected.clone().any(|(known, _)| known == name))
    {
        let path = model.weights.path().to_owned();
        let reason = format!("tensor \"{name}\" is no part of the model that its other tensors tell of");
        return Err(WeightsError::Layout { path, reason }.into());
    }
    if args.whole && args.to != To::Onnx {
        bail!("--whole goes with --to onnx alone");
    }
    check_name(args)?;
    let layout = match args.to {
        To::Onnx => return onnx(common, args, &model),
        To::Native => Layout::Native,
        To::Hf => Layout::HuggingFace,
        To::Original => Layout::Original,
        To::Timm => Layout::Timm,
    };
    if model.config.encoder_sees_masks && args.to != To::Native {
        bail!("{}: an encoder that sees mask tokens has no place in that layout", args.input.display());
    }
    let (outputs, dropped) = outputs(layout, &model.weights);
    let storage = if args.f16 { Storage::F16 } else { Storage::F32 };
    let foreign = || [("format".to_owned(), "pt".to_owned())].into();
    match layout {
        Layout::Native => {
            let metadata = config_metadata(&model.config)?.into();
            write_safetensors(&args.out, &model.weights, &outputs, metadata, storage)?;
        }
        Layout::Timm => write_safetensors(&args.out, &model.weights, &outputs, foreign(), storage)?,
        Layout::Original => write_torch(&args.out, &model.weights, &outputs, storage)?,
        Layout::HuggingFace => {
            fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
            write_safetensors(&args.out.join("model.safetensors"), &model.weights, &outputs, foreign(), storage)?;
            write_json(&args.out.join("config.json"), &hub_config(&model.config, whole))?;
            write_json(&args.out.join("preprocessor_config.json"), &hub_preprocessor(&model.config))?;
        }
    }
    let (classifier, leftover) = (&model.weights.classifier, &model.weights.leftover);
    if common.json {
        return json_line(&json!({
            "in": args.input, "out": args.out, "model": model.config, "decoder": whole, "tensors": outputs.len(),
            "renamed": model.weights.translated(), "dropped": dropped, "classifier": classifier, "leftover": leftover,
            "assumed": model.assumed, "averages_left_out": model.weights.averages,
        }));
    }
    let config = &model.config;
    say(
        common,
        format_args!(
            "{}: {} px, patch {}, {} wide, {} deep, {} heads; {}",
            args.input.display(),
            config.image_size,
            config.patch_size,
            config.width,
            config.depth,
            config.heads,
            match whole {
                true => format!(
                    "decoder {}/{}/{}, {} targets",
                    config.decoder_width,
                    config.decoder_depth,
                    config.decoder_heads,
                    if config.norm_pix_loss { "normalised" } else { "raw" }
                ),
                false => "no decoder: it gives features, but cannot rebuild pictures".to_owned(),
            }
        ),
    );
    for text in &model.assumed {
        say(common, format_args!("note: {text}"));
    }
    if model.weights.averages {
        say(common, "note: the run's averages of its weights are left out; `unmask export --ema` takes them");
    }
    let read = model.weights.shapes().len();
    say(common, format_args!("read     {read} tensors, {} of them under other names", model.weights.translated()));
    for (what, names) in
        [("left out", &dropped), ("ignored (of a classifier)", classifier), ("left over (unknown)", leftover)]
    {
        if !names.is_empty() {
            say(common, format_args!("{what}: {}", names.join(", ")));
        }
    }
    say(common, format_args!("missing  none"));
    say(common, format_args!("wrote    {} tensors -> {}", outputs.len(), args.out.display()));
    Ok(())
}

fn write_json(path: &Path, value: &serde_json::Value) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)? + "\n";
    write_whole(path, text.as_bytes()).with_context(|| path.display().to_string())
}
