//! One picture at a time through a trained model.

use std::sync::Arc;

use super::{Pictures, TrainError, decode_limit, model_of};
use crate::data::Picture;
use crate::eval::{Baselines, baselines, psnr_db};
use crate::gpu::{BufferSlice, Gpu, Uploads};
use crate::graph::{GraphError, Plan, TensorType, Var};
use crate::mae::{self, MaeConfig};
use crate::nn::{Builder, ParamStore, State};
use crate::ops::{self, CropMode, MaskNoise, PIXEL_STD};
use crate::weights::Tensors;

/// Which patches of a picture are hidden.
#[derive(Clone, Debug, PartialEq)]
pub enum Hidden {
    /// By the model's strategy: share of patches and seed.
    Ratio {
        /// 0 to under 1.
        ratio: f64,
        /// The same seed hides the same patches on every adapter.
        seed: u32,
    },
    /// All but these patches, by raster index.
    Keep(Vec<usize>),
}

/// A picture and what the model made of it.
#[derive(Clone, Debug)]
pub struct Reconstruction {
    /// Side of the model's pictures.
    pub side: usize,
    /// Visible patches, ascending.
    pub keep: Vec<usize>,
    /// Patches in all.
    pub patches: usize,
    /// The picture as the model saw it `[3, side, side]`, normalised.
    pub image: Vec<f32>,
    /// Predicted patches `[L, p * p * 3]`, de-normalised where targets were normalised.
    pub pred: Vec<f32>,
    /// 1 where hidden `[L]`.
    pub mask: Vec<f32>,
    /// Mean square error over hidden patches, in normalised units.
    pub hidden_mse: f64,
    /// The same as PSNR in dB, of pixels that span 0 to 1.
    pub hidden_psnr_db: f64,
    /// What two simple guesses reach.
    pub baselines: Baselines,
    /// visible | reconstruction | reconstruction with visible patches | original, RGBX.
    pub strip: Vec<u8>,
    /// Width and height of `strip`.
    pub strip_size: [u32; 2],
}

/// A trained model on one device, for single pictures.
#[derive(Debug)]
pub struct Reconstructor {
    gpu: Arc<Gpu>,
    config: MaeConfig,
    store: ParamStore,
}

impl Reconstructor {
    /// Loads `weights`, which say what model they are for.
    ///
    /// # Errors
    /// Weights without a decoder, with a missing or misshapen tensor, each by name.
    pub async fn new(gpu: Arc<Gpu>, weights: &Tensors) -> Result<Reconstructor, TrainError> {
        let config = model_of(weights)?;
        let mut b = Builder::new();
        graph(&mut b, &config, &Hidden::Ratio { ratio: 0.5, seed: 0 }, (1, 1))?;
        let store = ParamStore::new(&gpu, b.params(), false).await?;
        store.load(&gpu, State::Weights, weights)?;
        Ok(Reconstructor { gpu, config, store })
    }

    /// The model.
    pub fn config(&self) -> &MaeConfig {
        &self.config
    }

    /// Short side to which larger pictures may be reduced when they are decoded.
    pub fn decode_limit(&self) -> u32 {
        decode_limit(self.config.image_size)
    }

    /// Rebuilds the hidden patches of the largest centred square of `picture`.
    ///
    /// # Errors
    /// [`TrainError::Mask`] for a mask that does not go with the model.
    pub async fn reconstruct(&self, picture: Picture, hidden: &Hidden) -> Result<Reconstruction, TrainError> {
        let mut config = self.config.clone();
        match hidden {
            Hidden::Ratio { ratio, .. } => config.mask_ratio = *ratio,
            Hidden::Keep(keep) => check_keep(keep, config.patches())?,
        }
        config.check()?;
        let pictures = Pictures::upload(&self.gpu, vec![picture]).await?;
        let (slot, max_height) = pictures.slot();
        let mut b = Builder::new();
        let built = graph(&mut b, &config, hidden, (slot, max_height))?;
        let roots = [built.image, built.pred, built.mask, built.strip, built.stats.unwrap_or(built.mask)];
        let mut externals = self.store.externals();
        let plan = Plan::build(&self.gpu, &b.graph, &roots, &mut externals).await?;
        let slice = |name: &str| externals.get(name).cloned().ok_or_else(|| GraphError::Unbound(name.to_owned()));
        pictures.fill(&self.gpu, &[0], slot, &slice("pixels")?, &slice("sizes")?);
        match hidden {
            Hidden::Ratio { seed, .. } => self.gpu.upload(&slice("step")?, &[*seed, 0, 2, 0]),
            Hidden::Keep(keep) => {
                let noise: Vec<f32> =
                    (0..config.patches()).map(|patch| if keep.contains(&patch) { 0.0 } else { 1.0 }).collect();
                self.gpu.upload(&slice("step")?, &[0u32; 4]);
                self.gpu.upload(&slice("noise")?, &noise);
            }
        }
        plan.run(&self.gpu);
        let slices: Vec<BufferSlice> = roots.iter().filter_map(|root| plan.slice(*root).cloned()).collect();
        let read = self.gpu.read("reconstruction", &slices).await?;
        let floats = |index: usize| -> Vec<f32> { bytemuck::pod_collect_to_vec(&read[index]) };
        let stats = built.stats.map(|_| floats(4));
        Ok(summary(&config, floats(0), floats(1), floats(2), stats, read[3].clone()))
    }
}

fn check_keep(keep: &[usize], patches: usize) -> Result<(), TrainError> {
    if let Some(patch) = keep.iter().find(|patch| **patch >= patches) {
        return Err(TrainError::Mask(format!("patch {patch} is out of range; expected 0 to {}", patches - 1)));
    }
    let mut sorted = keep.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    match (sorted.len() == keep.len(), keep.is_empty()) {
        (true, false) => Ok(()),
        (_, true) => Err(TrainError::Mask("no patch is visible; at least one has to be".to_owned())),
        (false, _) => Err(TrainError::Mask("a patch is listed twice".to_owned())),
    }
}

struct Built {
    image: Var,
    pred: Var,
    mask: Var,
    strip: Var,
    stats: Option<Var>,
}

fn graph(b: &mut Builder, config: &MaeConfig, hidden: &Hidden, slot: (usize, usize)) -> Result<Built, TrainError> {
    let pixels = b.graph.external("pixels", TensorType::u32(&[1, slot.0]));
    let sizes = b.graph.external("sizes", TensorType::u32(&[1, 4]));
    let step = b.graph.external("step", TensorType::u32(&[4]));
    let boxes = ops::crop_boxes(&mut b.graph, sizes, step, CropMode::CentreSquare)?;
    let image = ops::resample(&mut b.graph, pixels, sizes, boxes, config.image_size, slot.1)?;
    let (noise, visible) = match hidden {
        Hidden::Ratio { .. } => {
            let strategy = config.mask_strategy;
            let (grid, hidden) = (config.grid(), config.patches() - config.visible());
            (b.graph.add1(MaskNoise { strategy, batch: 1, grid, hidden }, &[step])?, config.visible())
        }
        Hidden::Keep(keep) => (b.graph.external("noise", TensorType::f32(&[1, config.patches()])), keep.len()),
    };
    let (ids_restore, ids_keep, mask) = ops::mask_rank(&mut b.graph, noise, visible)?;
    let vars = mae::autoencoder(b, config, image, mae::Masks { ids_keep, ids_restore, mask })?;
    let strip = ops::preview(&mut b.graph, image, vars.pred, mask, vars.patch_stats, config.patch_size)?;
    Ok(Built { image, pred: vars.pred, mask, strip, stats: vars.patch_stats })
}

fn summary(
    config: &MaeConfig,
    image: Vec<f32>,
    mut pred: Vec<f32>,
    mask: Vec<f32>,
    stats: Option<Vec<f32>>,
    strip: Vec<u8>,
) -> Reconstruction {
    let (side, p, grid) = (config.image_size, config.patch_size, config.grid());
    if let Some(stats) = stats {
        for (patch, stat) in pred.chunks_mut(config.patch_len()).zip(stats.chunks(2)) {
            for value in patch {
                *value = *value * stat[1] + stat[0];
            }
        }
    }
    let (mut sum, mut pixels, mut count) = (0.0, 0.0, 0usize);
    for (number, patch) in pred.chunks(config.patch_len()).enumerate().filter(|(number, _)| mask[*number] != 0.0) {
        for (i, value) in patch.iter().enumerate() {
            let (row, column, channel) = (i / (p * 3), (i / 3) % p, i % 3);
            let (y, x) = ((number / grid) * p + row, (number % grid) * p + column);
            let error = f64::from(*value) - f64::from(image[(channel * side + y) * side + x]);
            sum += error * error;
            pixels += (error * f64::from(PIXEL_STD[channel])).powi(2);
            count += 1;
        }
    }
    let hidden: Vec<bool> = mask.iter().map(|mask| *mask != 0.0).collect();
    let count = count.max(1) as f64;
    Reconstruction {
        side,
        keep: (0..hidden.len()).filter(|patch| !hidden[*patch]).collect(),
        patches: hidden.len(),
        baselines: baselines(&image, side, p, &hidden),
        image,
        pred,
        mask,
        hidden_mse: sum / count,
        hidden_psnr_db: psnr_db(pixels / count, 1.0),
        strip,
        strip_size: [(ops::PANELS * side) as u32, side as u32],
    }
}
