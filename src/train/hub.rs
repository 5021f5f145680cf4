//! The files that Hugging Face's libraries keep beside weights.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::TrainError;
use crate::mae::MaeConfig;
use crate::ops::{PIXEL_MEAN, PIXEL_STD};

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
        }
    }
}

impl HubConfig {
    /// Reads a `config.json`.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] where it is no JSON, or for a model that differs from a masked autoencoder's.
    pub fn parse(path: &str, text: &str) -> Result<HubConfig, TrainError> {
        let fail = |reason: String| TrainError::Recipe { path: path.to_owned(), reason };
        let config: HubConfig = serde_json::from_str(text).map_err(|error| fail(error.to_string()))?;
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

    /// Reads the `config.json` beside the file at `path`, or in the folder at `path`, if there is one.
    ///
    /// # Errors
    /// As [`HubConfig::parse`].
    pub fn beside(path: &Path) -> Result<Option<HubConfig>, TrainError> {
        let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
        let file = folder.join("config.json");
        match std::fs::read_to_string(&file) {
            Ok(text) => HubConfig::parse(&file.display().to_string(), &text).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                let reason = error.to_string();
                Err(TrainError::Recipe { path: file.display().to_string(), reason })
            }
        }
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

/// The `preprocessor_config.json` of a model: pictures are resized to a square and normalised.
pub fn hub_preprocessor(config: &MaeConfig) -> Value {
    // Shortest decimals: 0.485, not what f32 makes of it.
    let decimals = |values: [f32; 3]| values.map(|value| value.to_string().parse::<f64>().unwrap_or(value.into()));
    json!({
        "image_processor_type": "ViTImageProcessor",
        "do_resize": true,
        "size": { "height": config.image_size, "width": config.image_size },
        "resample": 3,
        "do_rescale": true,
        "rescale_factor": 1.0 / 255.0,
        "do_normalize": true,
        "image_mean": decimals(PIXEL_MEAN),
        "image_std": decimals(PIXEL_STD),
    })
}
