//! What `unmask bench --turns --dump` writes: weights and inputs as tensors, the model and the optimiser as metadata.

use std::collections::HashMap;
use std::error::Error;

use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

/// The model's shape.
#[derive(Debug, Deserialize)]
pub struct Shape {
    pub image_size: usize,
    pub patch_size: usize,
    pub width: usize,
    pub depth: usize,
    pub heads: usize,
    pub decoder_width: usize,
    pub decoder_depth: usize,
    pub decoder_heads: usize,
    pub mask_ratio: f64,
    pub norm_pix_loss: bool,
    pub layer_norm_eps: f64,
    pub encoder_sees_masks: bool,
}

impl Shape {
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    pub fn patches(&self) -> usize {
        self.grid() * self.grid()
    }

    pub fn visible(&self) -> usize {
        ((self.patches() as f64 * (1.0 - self.mask_ratio)) as usize).max(1)
    }
}

/// The optimiser's constants.
#[derive(Debug, Deserialize)]
pub struct AdamW {
    pub beta1: f32,
    pub beta2: f32,
    pub eps: f32,
    pub weight_decay: f32,
}

#[derive(Debug, Deserialize)]
pub struct Optimiser {
    pub rate: f64,
    pub adamw: AdamW,
}

/// One benchmark case.
pub struct Case {
    pub shape: Shape,
    pub optimiser: Optimiser,
    pub batch: usize,
    tensors: HashMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Case {
    pub fn read(path: &str) -> Result<Case, Box<dyn Error>> {
        let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
        let (_, header) = SafeTensors::read_metadata(&bytes)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let text = |key: &str| metadata.get(key).ok_or_else(|| format!("{path}: no metadata {key}"));
        let shape: Shape = serde_json::from_str(text("model")?)?;
        let optimiser = serde_json::from_str(text("optimiser")?)?;
        if shape.encoder_sees_masks {
            return Err("encoder_sees_masks is not done here".into());
        }
        let mut tensors = HashMap::new();
        for (name, view) in SafeTensors::deserialize(&bytes)?.tensors() {
            if view.dtype() != Dtype::F32 {
                return Err(format!("{path}: {name} is {:?}, expected F32", view.dtype()).into());
            }
            let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            tensors.insert(name, (view.shape().to_vec(), values));
        }
        let batch = tensors.get("input/pixel_values").ok_or("no input/pixel_values")?.0[0];
        Ok(Case { shape, optimiser, batch, tensors })
    }

    /// Shape and values of the tensor called `name`.
    pub fn values(&self, name: &str) -> Result<(&[usize], &[f32]), Box<dyn Error>> {
        let (shape, values) = self.tensors.get(name).ok_or_else(|| format!("the case has no tensor {name}"))?;
        Ok((shape, values))
    }
}
