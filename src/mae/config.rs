//! The shape of a masked autoencoder.

use serde::{Deserialize, Serialize};

use super::MaeError;
use crate::ops::{HEAD_SIZES, MOST_GRID, MaskStrategy, PIXEL_MEAN, PIXEL_STD, PixelNorm};

/// Everything that decides a model's shape and loss (He et al. 2021, section 3 and appendix A.1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaeConfig {
    /// Side of the square pictures, in pixels.
    pub image_size: usize,
    /// Side of a patch, in pixels; divides `image_size`.
    pub patch_size: usize,
    /// Encoder width; a multiple of 4 and of `heads`.
    pub width: usize,
    /// Encoder blocks.
    pub depth: usize,
    /// Encoder attention heads.
    pub heads: usize,
    /// Hidden width of the encoder's MLPs; 0 means four times the width.
    #[serde(default)]
    pub mlp: usize,
    /// Decoder width; a multiple of 4 and of `decoder_heads`.
    pub decoder_width: usize,
    /// Decoder blocks.
    pub decoder_depth: usize,
    /// Decoder attention heads.
    pub decoder_heads: usize,
    /// Hidden width of the decoder's MLPs; 0 means four times the width.
    #[serde(default)]
    pub decoder_mlp: usize,
    /// Share of hidden patches, 0 to under 1.
    #[serde(default = "three_quarters")]
    pub mask_ratio: f64,
    /// How hidden patches are chosen.
    #[serde(default)]
    pub mask_strategy: MaskStrategy,
    /// Whether targets are normalised patch by patch.
    #[serde(default)]
    pub norm_pix_loss: bool,
    /// Added to variances in layer norms.
    #[serde(default = "layer_norm_eps")]
    pub layer_norm_eps: f64,
    /// Subtracted from pixels between 0 and 1, by channel; those of ImageNet unless told otherwise.
    #[serde(default = "pixel_mean")]
    pub pixel_mean: [f64; 3],
    /// What they are then divided by.
    #[serde(default = "pixel_std")]
    pub pixel_std: [f64; 3],
    /// Whether mask tokens go through the encoder, the paper's costly variant (table 1c).
    #[serde(default)]
    pub encoder_sees_masks: bool,
}

fn three_quarters() -> f64 {
    0.75
}

fn layer_norm_eps() -> f64 {
    1e-6
}

/// The shortest decimal that means `value`: 0.485, not what `f32` makes of it.
fn decimal(value: f32) -> f64 {
    // What a finite number is written as can be read.
    value.to_string().parse().unwrap_or(f64::from(value))
}

pub(super) fn pixel_mean() -> [f64; 3] {
    PIXEL_MEAN.map(decimal)
}

pub(super) fn pixel_std() -> [f64; 3] {
    PIXEL_STD.map(decimal)
}

/// Colour channels of a picture.
pub(super) const CHANNELS: usize = 3;

impl MaeConfig {
    /// Patches along one side.
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Patches of a picture.
    pub fn patches(&self) -> usize {
        self.grid() * self.grid()
    }

    /// Numbers in a patch.
    pub fn patch_len(&self) -> usize {
        self.patch_size * self.patch_size * CHANNELS
    }

    /// Patches that stay visible: the reference's truncation `int(L (1 - ratio))`, at least 1.
    pub fn visible(&self) -> usize {
        ((self.patches() as f64 * (1.0 - self.mask_ratio)) as usize).max(1)
    }

    /// What pixels are normalised by.
    pub fn pixel_norm(&self) -> PixelNorm {
        PixelNorm { mean: self.pixel_mean.map(|x| x as f32), std: self.pixel_std.map(|x| x as f32) }
    }

    /// Hidden width of the encoder's MLPs.
    pub fn mlp_width(&self) -> usize {
        if self.mlp == 0 { 4 * self.width } else { self.mlp }
    }

    /// Hidden width of the decoder's MLPs.
    pub fn decoder_mlp_width(&self) -> usize {
        if self.decoder_mlp == 0 { 4 * self.decoder_width } else { self.decoder_mlp }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`MaeError::Field`] with the field, its value and what was expected.
    pub fn check(&self) -> Result<(), MaeError> {
        let fail = |field: &'static str, value: &dyn std::fmt::Display, expected: String| {
            Err(MaeError::Field { field, value: value.to_string(), expected })
        };
        for (field, value, most) in [
            ("patch_size", self.patch_size, 256),
            ("image_size", self.image_size, 4096),
            ("width", self.width, 8192),
            ("depth", self.depth, 256),
            ("heads", self.heads, 256),
            ("decoder_width", self.decoder_width, 8192),
            ("decoder_depth", self.decoder_depth, 256),
            ("decoder_heads", self.decoder_heads, 256),
            ("mlp", self.mlp_width(), 65_536),
            ("decoder_mlp", self.decoder_mlp_width(), 65_536),
        ] {
            if value == 0 || value > most {
                return fail(field, &value, format!("expected 1 to {most}"));
            }
        }
        if !self.image_size.is_multiple_of(self.patch_size) {
            return fail(
                "image_size",
                &self.image_size,
                format!("expected a multiple of patch_size {}", self.patch_size),
            );
        }
        if self.grid() > MOST_GRID {
            return fail(
                "image_size",
                &self.image_size,
                format!("expected at most {MOST_GRID} patches of {} a side", self.patch_size),
            );
        }
        for (field, width, heads_field, heads) in [
            ("width", self.width, "heads", self.heads),
            ("decoder_width", self.decoder_width, "decoder_heads", self.decoder_heads),
        ] {
            if width % 4 != 0 {
                return fail(field, &width, "expected a multiple of 4, which the position table needs".to_owned());
            }
            if width % heads != 0 {
                return fail(field, &width, format!("expected a multiple of {heads_field} {heads}"));
            }
            let head = width / heads;
            let (least, most) = HEAD_SIZES.into_inner();
            if head % 4 != 0 || !HEAD_SIZES.contains(&head) {
                return fail(
                    heads_field,
                    &heads,
                    format!("gives heads of size {head}; expected a multiple of 4 between {least} and {most}"),
                );
            }
        }
        if !(0.0..1.0).contains(&self.mask_ratio) {
            return fail("mask_ratio", &self.mask_ratio, "expected 0 to under 1".to_owned());
        }
        for (field, values, least) in [("pixel_mean", self.pixel_mean, 0.0), ("pixel_std", self.pixel_std, 1e-3)] {
            if let Some(value) = values.into_iter().find(|value| !(least..=1.0).contains(value)) {
                return fail(field, &value, format!("expected {least} to 1, for pixels between 0 and 1"));
            }
        }
        if !(self.layer_norm_eps > 0.0 && self.layer_norm_eps < 1.0) {
            return fail("layer_norm_eps", &self.layer_norm_eps, "expected a small positive number".to_owned());
        }
        Ok(())
    }
}
