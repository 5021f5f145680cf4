//! `unmask convert`: weights from one layout to another.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::args::{Common, ConvertArgs, To};
use super::model_args::tell_assumed;
use super::place::check_place;
use super::progress::{json_line, say};
use super::weights;
use crate::data::few;
use crate::platform::write_whole;
use crate::train::{
    OnnxPart, Opened, config_metadata, export_onnx, hub_config, hub_preprocessor, model_params, timm_metadata,
};
use crate::weights::{
    Layout, Output, Storage, TensorSource as _, WeightsError, outputs, write_safetensors, write_torch,
};

/// Name of the weights in a folder as Hugging Face's libraries write it.
const HF_WEIGHTS: &str = "model.safetensors";

/// Writes an ONNX file.
fn onnx(common: &Common, args: &ConvertArgs, model: &Opened) -> anyhow::Result<()> {
    if args.f16 {
        bail!("--f16 does not go with --to onnx, whose numbers are 32-bit floats");
    }
    export_onnx(model, if args.whole { OnnxPart::Whole } else { OnnxPart::Encoder }, &args.out)?;
    if common.json {
        return json_line(&json!({
            "in": args.input, "out": args.out, "whole": args.whole, "model": model.config, "assumed": model.assumed,
            "averages_left_out": model.weights.averages,
        }));
    }
    tell_assumed(common, model);
    tell_pixels(common, model);
    let (inputs, outputs) = match args.whole {
        true => ("pixel_values and noise", "logits, mask and ids_restore"),
        false => ("pixel_values", "last_hidden_state"),
    };
    say(common, format_args!("wrote {}: {inputs} in, {outputs} out", args.out.display()));
    Ok(())
}

/// Says what pixels are to be normalised by, where no file beside the weights does.
fn tell_pixels(common: &Common, model: &Opened) {
    let (mean, std) = (model.config.pixel_mean, model.config.pixel_std);
    say(common, format_args!("pixels   mean {mean:?}, deviation {std:?}: whatever reads the file has to be told"));
}

/// See [`check_place`].
fn check_out(args: &ConvertArgs) -> anyhow::Result<()> {
    match args.to {
        To::Native | To::Timm => check_place(None, &args.out, &["safetensors"]),
        To::Original => check_place(None, &args.out, &["pth", "pt", "bin"]),
        To::Onnx => check_place(None, &args.out, &["onnx"]),
        To::Hf => check_place(None, &args.out.join(HF_WEIGHTS), &["safetensors"]),
    }
}

/// Runs `unmask convert`.
pub fn run(common: &Common, args: &ConvertArgs) -> anyhow::Result<()> {
    let model = Opened::open(&weights::local(common, &args.input)?, &args.hints.hints())?;
    check_tensors(&model)?;
    if args.whole && args.to != To::Onnx {
        bail!("--whole goes with --to onnx alone");
    }
    check_out(args)?;
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
    write(args, &model, layout, &outputs)?;
    tell(common, args, &model, outputs.len(), &dropped)
}

/// Fails unless every tensor of the model is there, in its shape, and no others are.
fn check_tensors(model: &Opened) -> anyhow::Result<()> {
    let expected = model_params(&model.config)?;
    let whole = model.weights.has_decoder();
    let expected = expected.iter().filter(|(name, _)| whole || name.starts_with("vit."));
    for (name, shape) in expected.clone() {
        model.weights.expect(name, shape)?;
    }
    let shapes = model.weights.shapes();
    if let Some((name, _)) = shapes.iter().find(|(name, _)| !expected.clone().any(|(known, _)| known == name)) {
        let path = model.weights.path().to_owned();
        let reason = format!("tensor \"{name}\" is no part of the model that its other tensors tell of");
        return Err(WeightsError::Layout { path, reason }.into());
    }
    Ok(())
}

/// Writes `outputs` in `layout`.
fn write(args: &ConvertArgs, model: &Opened, layout: Layout, outputs: &[Output]) -> anyhow::Result<()> {
    let storage = if args.f16 { Storage::F16 } else { Storage::F32 };
    match layout {
        Layout::Native => {
            let metadata = config_metadata(&model.config)?.into();
            write_safetensors(&args.out, &model.weights, outputs, metadata, storage)?;
        }
        Layout::Timm => {
            write_safetensors(&args.out, &model.weights, outputs, timm_metadata(&model.config), storage)?;
        }
        Layout::Original => write_torch(&args.out, &model.weights, outputs, storage)?,
        Layout::HuggingFace => {
            let metadata = [("format".to_owned(), "pt".to_owned())].into();
            fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
            write_safetensors(&args.out.join(HF_WEIGHTS), &model.weights, outputs, metadata, storage)?;
            write_json(&args.out.join("config.json"), &hub_config(&model.config, model.weights.has_decoder()))?;
            write_json(&args.out.join("preprocessor_config.json"), &hub_preprocessor(&model.config))?;
        }
    }
    Ok(())
}

/// Says what was read, what of it was left out, and what was written.
fn tell(common: &Common, args: &ConvertArgs, model: &Opened, written: usize, dropped: &[String]) -> anyhow::Result<()> {
    let (config, weights) = (&model.config, &model.weights);
    let classifier = weights.classifier.as_slice();
    if common.json {
        return json_line(&json!({
            "in": args.input, "out": args.out, "model": config, "decoder": weights.has_decoder(), "tensors": written,
            "renamed": weights.translated(), "dropped": dropped, "classifier": classifier,
            "leftover": weights.leftover,
            "assumed": model.assumed, "averages_left_out": weights.averages,
        }));
    }
    let decoder = match weights.has_decoder() {
        true => format!(
            "decoder {}/{}/{}, {} targets",
            config.decoder_width,
            config.decoder_depth,
            config.decoder_heads,
            if config.norm_pix_loss { "normalised" } else { "raw" }
        ),
        false => "no decoder: it gives features, but cannot rebuild pictures".to_owned(),
    };
    say(
        common,
        format_args!(
            "{}: {} px, patch {}, {} wide, {} deep, {} heads; {decoder}",
            args.input.display(),
            config.image_size,
            config.patch_size,
            config.width,
            config.depth,
            config.heads,
        ),
    );
    tell_assumed(common, model);
    if matches!(args.to, To::Original | To::Timm) {
        tell_pixels(common, model);
    }
    let (read, translated) = (weights.shapes().len(), weights.translated());
    say(common, format_args!("read     {read} tensors, {translated} of them under other names"));
    for (what, names) in [("left out", dropped), ("ignored (of a classifier)", classifier)] {
        if !names.is_empty() {
            say(common, format_args!("{what}: {}", few(names, names.len())));
        }
    }
    say(common, format_args!("missing  none"));
    say(common, format_args!("wrote    {written} tensors -> {}", args.out.display()));
    Ok(())
}

fn write_json(path: &Path, value: &serde_json::Value) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)? + "\n";
    write_whole(path, text.as_bytes()).with_context(|| path.display().to_string())
}
