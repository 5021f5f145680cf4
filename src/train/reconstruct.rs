//! One picture at a time through a trained model, with everything that is known of the result read back.

use std::sync::Arc;

use super::explorer::{Explorer, Hidden};
use super::{Opened, TrainError, decode_limit};
use crate::data::Picture;
use crate::eval::{Baselines, baselines, psnr_db};
use crate::gpu::{BufferSlice, Gpu};
use crate::mae::MaeConfig;
use crate::ops;

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
    pub hidden_psnr_db: Option<f64>,
    /// visible | reconstruction | reconstruction with visible patches | original, RGBX.
    pub strip: Vec<u8>,
    /// Width and height of `strip`.
    pub strip_size: [u32; 2],
}

impl Reconstruction {
    /// What two simple guesses reach, in the units of [`Reconstruction::hidden_mse`].
    pub fn baselines(&self) -> Baselines {
        let hidden: Vec<bool> = self.mask.iter().map(|mask| *mask != 0.0).collect();
        let grid = hidden.len().isqrt();
        baselines(&self.image, self.side, self.side / grid, &hidden)
    }
}

/// A trained model on one device, for single pictures.
#[derive(Debug)]
pub struct Reconstructor {
    gpu: Arc<Gpu>,
    explorer: Explorer,
}

impl Reconstructor {
    /// Loads a model.
    ///
    /// # Errors
    /// Weights without a decoder, with a missing or misshapen tensor, each by name.
    pub async fn new(gpu: Arc<Gpu>, model: &Opened) -> Result<Reconstructor, TrainError> {
        Ok(Reconstructor { explorer: Explorer::load(gpu.clone(), model).await?, gpu })
    }

    /// The model.
    pub fn config(&self) -> &MaeConfig {
        self.explorer.config()
    }

    /// Short side to which larger pictures may be reduced when they are decoded.
    pub fn decode_limit(&self) -> u32 {
        decode_limit(self.config().image_size)
    }

    /// Rebuilds the hidden patches of the largest centred square of `picture`.
    ///
    /// # Errors
    /// [`TrainError::Mask`] for a mask that does not go with the model.
    pub async fn reconstruct(&mut self, picture: Picture, hidden: &Hidden) -> Result<Reconstruction, TrainError> {
        self.explorer.set_picture(picture).await?;
        let built = self.explorer.run(hidden).await?;
        let slices: Vec<BufferSlice> =
            [built.image, built.pred, built.mask, built.strip].into_iter().chain(built.stats).collect();
        let read = self.gpu.read("reconstruction", &slices).await?;
        let floats = |index: usize| -> Vec<f32> { bytemuck::pod_collect_to_vec(&read[index]) };
        let stats = (read.len() > 4).then(|| floats(4));
        Ok(summary(self.config(), floats(0), floats(1), floats(2), stats, read[3].clone()))
    }
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
            pixels += (error * config.pixel_std[channel]).powi(2);
            count += 1;
        }
    }
    let hidden: Vec<bool> = mask.iter().map(|mask| *mask != 0.0).collect();
    let count = count.max(1) as f64;
    Reconstruction {
        side,
        keep: (0..hidden.len()).filter(|patch| !hidden[*patch]).collect(),
        patches: hidden.len(),
        image,
        pred,
        mask,
        hidden_mse: sum / count,
        hidden_psnr_db: hidden.contains(&true).then(|| psnr_db(pixels / count, 1.0)),
        strip,
        strip_size: [(ops::PANELS * side) as u32, side as u32],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Recipe;

    #[test]
    fn normalised_predictions_become_pixels_by_each_patchs_mean_and_deviation() {
        let config = MaeConfig {
            image_size: 4,
            patch_size: 2,
            norm_pix_loss: true,
            pixel_std: [0.5, 0.5, 0.5],
            ..Recipe::default().model
        };
        // Means 10, 20, 30 and 40, deviations 1, 2, 3 and 4.
        let stats = Some(vec![10.0, 1.0, 20.0, 2.0, 30.0, 3.0, 40.0, 4.0]);
        let pred = [0.0, 1.0, -1.0, 0.5].iter().flat_map(|value| [*value; 12]).collect();
        // Channels of rows of pixels, a patch being two of each.
        let channel = [10.0, 10.0, 22.0, 22.0, 10.0, 10.0, 22.0, 22.0, 28.0, 29.0, 0.0, 0.0, 28.0, 29.0, 0.0, 0.0];
        let image = channel.repeat(3);
        let result = summary(&config, image.clone(), pred, vec![0.0, 0.0, 1.0, 0.0], stats, Vec::new());
        let want: Vec<f32> = [10.0, 22.0, 27.0, 42.0].iter().flat_map(|value| [*value; 12]).collect();
        assert_eq!((result.pred, result.image), (want, image));
        assert_eq!(result.keep, [0, 1, 3]);
        // Off by one in half of the pixels and by two in the others; half of that for pixels that span 0 to 1.
        assert_eq!((result.hidden_mse, result.hidden_psnr_db), (2.5, Some(psnr_db(0.625, 1.0))));
    }
}
