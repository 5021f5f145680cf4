//! Named models: two for small pictures, the paper's, and smaller ones with the paper's decoder.

use super::config::{pixel_mean, pixel_std};
use super::{MaeConfig, MaeError};
use crate::ops::MaskStrategy;

/// A named model.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Name on the command line.
    pub name: &'static str,
    /// image, patch, width, depth, heads, decoder width, depth, heads.
    sizes: [usize; 8],
}

/// All presets, smallest first. `base`, `large` and `huge` are the paper's; `tiny` and `small` are the usual
/// ViT-Ti and ViT-S (Touvron et al. 2021) with the paper's decoder.
pub const PRESETS: [Preset; 7] = [
    Preset { name: "micro", sizes: [64, 8, 128, 4, 4, 64, 2, 4] },
    Preset { name: "mini", sizes: [96, 8, 192, 6, 3, 128, 2, 4] },
    Preset { name: "tiny", sizes: [224, 16, 192, 12, 3, 512, 8, 16] },
    Preset { name: "small", sizes: [224, 16, 384, 12, 6, 512, 8, 16] },
    Preset { name: "base", sizes: [224, 16, 768, 12, 12, 512, 8, 16] },
    Preset { name: "large", sizes: [224, 16, 1024, 24, 16, 512, 8, 16] },
    Preset { name: "huge", sizes: [224, 14, 1280, 32, 16, 512, 8, 16] },
];

/// The configuration of preset `name`.
///
/// # Errors
/// [`MaeError::UnknownPreset`] with the names there are.
pub fn preset(name: &str) -> Result<MaeConfig, MaeError> {
    let found = PRESETS.iter().find(|preset| preset.name == name).ok_or_else(|| MaeError::UnknownPreset {
        name: name.to_owned(),
        known: PRESETS.map(|preset| preset.name).join(", "),
    })?;
    let [image_size, patch_size, width, depth, heads, decoder_width, decoder_depth, decoder_heads] = found.sizes;
    Ok(MaeConfig {
        image_size,
        patch_size,
        width,
        depth,
        heads,
        mlp: 0,
        decoder_width,
        decoder_depth,
        decoder_heads,
        decoder_mlp: 0,
        mask_ratio: 0.75,
        mask_strategy: MaskStrategy::Random,
        norm_pix_loss: false,
        layer_norm_eps: 1e-6,
        pixel_mean: pixel_mean(),
        pixel_std: pixel_std(),
        encoder_sees_masks: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visible_counts_truncate_like_the_reference() {
        let at = |image: usize, patch: usize, ratio: f64| {
            let config =
                MaeConfig { image_size: image, patch_size: patch, mask_ratio: ratio, ..preset("base").expect("base") };
            config.visible()
        };
        assert_eq!(at(224, 16, 0.75), 49);
        assert_eq!(at(224, 14, 0.75), 64);
        assert_eq!(at(224, 16, 0.9), 19);
        assert_eq!(at(224, 16, 0.6), 78);
        assert_eq!(at(224, 16, 0.8), 39);
        assert_eq!(at(64, 8, 0.9), 6);
        assert_eq!(at(64, 8, 0.999), 1);
        assert_eq!(at(64, 8, 0.0), 64);
    }

    #[test]
    fn every_preset_is_valid() {
        for preset_ in PRESETS {
            preset(preset_.name).expect("known").check().expect("valid");
        }
    }

    #[test]
    fn errors_name_the_field() {
        let micro = preset("micro").expect("micro");
        let message = |config: MaeConfig| config.check().expect_err("invalid").to_string();
        let text = message(MaeConfig { width: 130, ..micro.clone() });
        assert_eq!(text, "model: width = 130: expected a multiple of 4, which the position table needs");
        let text = message(MaeConfig { heads: 3, ..micro.clone() });
        assert_eq!(text, "model: width = 128: expected a multiple of heads 3");
        let text = message(MaeConfig { image_size: 65, ..micro.clone() });
        assert_eq!(text, "model: image_size = 65: expected a multiple of patch_size 8");
        let text = message(MaeConfig { mask_ratio: 1.0, ..micro.clone() });
        assert_eq!(text, "model: mask_ratio = 1: expected 0 to under 1");
        let text = message(MaeConfig { decoder_heads: 16, ..micro.clone() });
        assert_eq!(
            text,
            "model: decoder_heads = 16: gives heads of size 4; expected a multiple of 4 between 8 and 128"
        );
        let text = message(MaeConfig { image_size: 2064, ..micro });
        assert_eq!(text, "model: image_size = 2064: expected at most 256 patches of 8 a side");
        let text = preset("giant").expect_err("unknown").to_string();
        assert!(text.contains("\"giant\"") && text.contains("micro, mini"), "{text}");
    }
}
