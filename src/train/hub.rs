//! The files that Hugging Face's libraries keep beside weights.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::TrainError;
use crate::mae::MaeConfig;

/// Fields of a `config.json` of `ViTMAEConfig` that matter here, with that class's defaults.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default)]
pub struct HubConfig {
    pub(super) num_attention_heads: usize,
    pub(super) decoder_num_attention_heads: usize,
    pub(super) layer_norm_eps: f64,
    pub(super) mask_ratio: f64,
    pub(super) norm_pix_loss: bool,
    hidden_act: String,
    num_channels: usize,
    qkv_bias: bool,
    model_type: Option<String>,
    hidden_size: Option<usize>,
    num_hidden_layers: Option<usize>,
    /// Mean and deviation of pixels, which stand in a file of their own.
    #[serde(skip)]
    pub(super) pixels: Option<[[f64; 3]; 2]>,
}

/// Fields of a `preprocessor_config.json` that matter here.
#[derive(Deserialize)]
struct Preprocessor {
    image_mean: Option<[f64; 3]>,
    image_std: Option<[f64; 3]>,
    do_normalize: Option<bool>,
}

impl Default for HubConfig {
    fn default() -> Self {
        HubConfig {
            num_attention_heads: 12,
            decoder_num_attention_heads: 16,
            layer_norm_eps: 1e-12,
            mask_ratio: 0.75,
            norm_pix_loss: false,
            hidden_act: "gelu".to_owned(),
            num_channels: 3,
            qkv_bias: true,
            model_type: None,
            hidden_size: None,
            num_hidden_layers: None,
            pixels: None,
        }
    }
}

impl HubConfig {
    /// Reads a `config.json`.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] where it is no JSON, or for a masked autoencoder that differs from those built here.
    pub fn parse(path: &str, text: &str) -> Result<HubConfig, TrainError> {
        let fail = |reason: String| TrainError::Recipe { path: path.to_owned(), reason };
        let config: HubConfig = serde_json::from_str(text).map_err(|error| fail(error.to_string()))?;
        if config.of_other_kind() {
            // Whether it matters is seen beside the weights.
            return Ok(config);
        }
        for (field, is, wanted) in [
            ("hidden_act", config.hidden_act == "gelu", "\"gelu\""),
            ("num_channels", config.num_channels == 3, "3"),
            ("qkv_bias", config.qkv_bias, "true"),
        ] {
            if !is {
                return Err(fail(format!("{field}: expected {wanted}")));
            }
        }
        Ok(config)
    }

    fn of_other_kind(&self) -> bool {
        self.model_type.as_ref().is_some_and(|kind| kind != "vit_mae")
    }

    /// Why it is not for a masked autoencoder of this width and depth, if it is not.
    pub fn mismatch(&self, width: usize, depth: usize) -> Option<String> {
        if self.of_other_kind() || (self.model_type.is_none() && self.hidden_size.is_none()) {
            return Some(format!(
                "model_type is {:?}, expected \"vit_mae\"",
                self.model_type.as_deref().unwrap_or_default()
            ));
        }
        [("hidden_size", self.hidden_size, width), ("num_hidden_layers", self.num_hidden_layers, depth)]
            .into_iter()
            .find_map(|(field, told, is)| {
                let told = told.filter(|told| *told != is)?;
                Some(format!("{field} is {told}, and the weights have {is}"))
            })
    }

    /// Reads the `config.json` beside the file at `path`, or in the folder at `path`, if there is one.
    ///
    /// timm's says nothing of what is read here, and counts as none.
    ///
    /// # Errors
    /// As [`HubConfig::parse`].
    pub fn beside(path: &Path) -> Result<Option<HubConfig>, TrainError> {
        let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
        let Some((file, text)) = read_beside(folder, "config.json")? else { return Ok(None) };
        if of_timm(&text) {
            return Ok(None);
        }
        let mut config = HubConfig::parse(&file, &text)?;
        if let Some((file, text)) = read_beside(folder, "preprocessor_config.json")? {
            config.take_preprocessor(&file, &text)?;
        }
        Ok(Some(config))
    }

    /// Takes in what a `preprocessor_config.json` says of pixels.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] where it is no such file.
    pub fn take_preprocessor(&mut self, path: &str, text: &str) -> Result<(), TrainError> {
        let fail = |error: serde_json::Error| TrainError::Recipe { path: path.to_owned(), reason: error.to_string() };
        let Preprocessor { image_mean, image_std, do_normalize } = serde_json::from_str(text).map_err(fail)?;
        self.pixels = match (do_normalize, image_mean, image_std) {
            (Some(false), ..) => Some([[0.0; 3], [1.0; 3]]),
            (_, Some(mean), Some(std)) => Some([mean, std]),
            _ => None,
        };
        Ok(())
    }
}

/// Whether the text of a `config.json` is timm's: it names an architecture where transformers name a type.
fn of_timm(text: &str) -> bool {
    let fields: Option<Value> = serde_json::from_str(text).ok();
    fields.is_some_and(|fields| fields.get("architecture").is_some() && fields.get("model_type").is_none())
}

/// Path and text of the file `name` in `folder`, if there is one.
fn read_beside(folder: &Path, name: &str) -> Result<Option<(String, String)>, TrainError> {
    let file = folder.join(name);
    let path = file.display().to_string();
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(TrainError::Recipe { path, reason: error.to_string() }),
    }
}

/// The `config.json` of a model, for `ViTMAEForPreTraining`, or for `ViTMAEModel` where there is no decoder.
pub fn hub_config(config: &MaeConfig, decoder: bool) -> Value {
    json!({
        "architectures": [if decoder { "ViTMAEForPreTraining" } else { "ViTMAEModel" }],
        "model_type": "vit_mae",
        "image_size": config.image_size,
        "patch_size": config.patch_size,
        "num_channels": 3,
        "hidden_size": config.width,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.heads,
        "intermediate_size": config.mlp_width(),
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.02,
        "layer_norm_eps": config.layer_norm_eps,
        "qkv_bias": true,
        "decoder_hidden_size": config.decoder_width,
        "decoder_num_hidden_layers": config.decoder_depth,
        "decoder_num_attention_heads": config.decoder_heads,
        "decoder_intermediate_size": config.decoder_mlp_width(),
        "mask_ratio": config.mask_ratio,
        "norm_pix_loss": config.norm_pix_loss,
    })
}

/// The `preprocessor_config.json` of a model: the largest centred square of a picture, bicubic, normalised, as held-out
/// pictures are seen here.
pub fn hub_preprocessor(config: &MaeConfig) -> Value {
    json!({
        "image_processor_type": "BitImageProcessor",
        "do_convert_rgb": true,
        "do_resize": true,
        "size": { "shortest_edge": config.image_size },
        "resample": 3,
        "do_center_crop": true,
        "crop_size": { "height": config.image_size, "width": config.image_size },
        "do_rescale": true,
        "rescale_factor": 1.0 / 255.0,
        "do_normalize": true,
        "image_mean": config.pixel_mean,
        "image_std": config.pixel_std,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_of_another_model_is_told_from_one_of_a_masked_autoencoder() {
        let mismatch = |text: &str| HubConfig::parse("config.json", text).expect("JSON").mismatch(768, 12);
        assert_eq!(mismatch(r#"{"model_type": "vit_mae", "hidden_size": 768, "num_hidden_layers": 12}"#), None);
        assert_eq!(mismatch(r#"{"model_type": "vit_mae"}"#), None);
        for (text, why) in [
            (r#"{"model_type": "llama", "num_attention_heads": 8, "hidden_act": "silu"}"#, "llama"),
            (r#"{"anything": 1}"#, "vit_mae"),
            (r#"{"model_type": "vit_mae", "hidden_size": 1024}"#, "hidden_size is 1024"),
            (r#"{"hidden_size": 768, "num_hidden_layers": 24}"#, "num_hidden_layers is 24"),
        ] {
            assert!(mismatch(text).is_some_and(|said| said.contains(why)), "{text}");
        }
        assert!(HubConfig::parse("config.json", r#"{"hidden_act": "relu"}"#).is_err());
    }
}
