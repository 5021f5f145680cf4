//! The files that Hugging Face's libraries keep beside weights.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::TrainError;
use crate::mae::MaeConfig;

/// Whose a `config.json` is, and of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Transformers', of a masked autoencoder.
    Autoencoder,
    /// Transformers', of an encoder alone.
    Encoder,
    /// timm's, which tells of pixels alone what matters here.
    Timm,
    /// Of something else.
    Other,
}

/// Fields of a `config.json` of `ViTMAEConfig` that matter here, with that class's defaults, which `ViTConfig` shares; and
/// of timm's.
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
    architecture: Option<String>,
    num_features: Option<usize>,
    /// Mean and deviation of pixels, which transformers keep in a file of their own.
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
            architecture: None,
            num_features: None,
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
        let mut config: HubConfig = serde_json::from_str(text).map_err(|error| fail(error.to_string()))?;
        match config.kind() {
            Kind::Autoencoder | Kind::Encoder => {}
            Kind::Timm => {
                config.pixels = pixels_of_timm(text);
                return Ok(config);
            }
            // Whether it matters is seen beside the weights.
            Kind::Other => return Ok(config),
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

    fn kind(&self) -> Kind {
        match self.model_type.as_deref() {
            Some("vit_mae") => Kind::Autoencoder,
            Some("vit") => Kind::Encoder,
            Some(_) => Kind::Other,
            None if self.architecture.is_some() => Kind::Timm,
            None if self.hidden_size.is_some() => Kind::Autoencoder,
            None => Kind::Other,
        }
    }

    /// Whether what it says of the encoder counts.
    pub(super) fn tells_encoder(&self) -> bool {
        matches!(self.kind(), Kind::Autoencoder | Kind::Encoder)
    }

    /// Whether what it says of decoder and loss counts.
    pub(super) fn tells_decoder(&self) -> bool {
        self.kind() == Kind::Autoencoder
    }

    /// Why it is not for a masked autoencoder, or its encoder, of this width and depth, if it is not.
    pub fn mismatch(&self, width: usize, depth: usize) -> Option<String> {
        if self.kind() == Kind::Other {
            return Some(format!(
                "model_type is {:?}, expected \"vit_mae\" or \"vit\"",
                self.model_type.as_deref().unwrap_or_default()
            ));
        }
        [
            ("hidden_size", self.hidden_size, width),
            ("num_features", self.num_features, width),
            ("num_hidden_layers", self.num_hidden_layers, depth),
        ]
        .into_iter()
        .find_map(|(field, told, is)| {
            let told = told.filter(|told| *told != is)?;
            Some(format!("{field} is {told}, and the weights have {is}"))
        })
    }

    /// Reads the `config.json` beside the file at `path`, or in the folder at `path`, if there is one.
    ///
    /// # Errors
    /// As [`HubConfig::parse`].
    pub fn beside(path: &Path) -> Result<Option<HubConfig>, TrainError> {
        let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
        let Some((file, text)) = read_beside(folder, "config.json")? else { return Ok(None) };
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
            _ => self.pixels,
        };
        Ok(())
    }
}

/// Mean and deviation of pixels in timm's `config.json`; older ones have them among the other fields.
fn pixels_of_timm(text: &str) -> Option<[[f64; 3]; 2]> {
    let fields: Value = serde_json::from_str(text).ok()?;
    let fields = fields.get("pretrained_cfg").unwrap_or(&fields);
    let channels = |name: &str| serde_json::from_value::<[f64; 3]>(fields.get(name)?.clone()).ok();
    Some([channels("mean")?, channels("std")?])
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

/// What a file in timm's layout, whose tensors tell nothing of pixels, says beside them.
pub fn timm_metadata(config: &MaeConfig) -> BTreeMap<String, String> {
    let channels = |values: [f64; 3]| format!("{values:?}");
    [
        ("format", "pt".to_owned()),
        ("image_size", config.image_size.to_string()),
        ("pixel_mean", channels(config.pixel_mean)),
        ("pixel_std", channels(config.pixel_std)),
    ]
    .map(|(key, text)| (key.to_owned(), text))
    .into()
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
        assert_eq!(mismatch(r#"{"model_type": "vit", "hidden_size": 768, "num_hidden_layers": 12}"#), None);
        assert_eq!(mismatch(r#"{"architecture": "vit_base_patch16_224", "num_features": 768}"#), None);
        for (text, why) in [
            (r#"{"model_type": "vit", "hidden_size": 384, "num_hidden_layers": 12}"#, "hidden_size is 384"),
            (r#"{"architecture": "vit_small_patch16_224", "num_features": 384}"#, "num_features is 384"),
        ] {
            assert!(mismatch(text).is_some_and(|said| said.contains(why)), "{text}");
        }
        for kind in ["vit", "vit_mae"] {
            let text = format!(r#"{{"model_type": "{kind}", "hidden_act": "relu"}}"#);
            assert!(HubConfig::parse("config.json", &text).is_err(), "{kind}");
        }
    }

    #[test]
    fn timms_pixels_are_read_from_its_config() {
        let pixels = |text: &str| HubConfig::parse("config.json", text).expect("JSON").pixels;
        let told = Some([[0.5; 3], [0.25; 3]]);
        let channels = r#""mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]"#;
        assert_eq!(pixels(&format!(r#"{{"architecture": "vit", "pretrained_cfg": {{{channels}}}}}"#)), told);
        assert_eq!(pixels(&format!(r#"{{"architecture": "vit", {channels}}}"#)), told);
        assert_eq!(pixels(r#"{"architecture": "vit", "pretrained_cfg": {"mean": [0.5], "std": [0.5]}}"#), None);
    }
}
