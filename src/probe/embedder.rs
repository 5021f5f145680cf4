//! Features of whole pictures: the encoder with every patch visible.

use std::sync::Arc;

use crate::data::{Picture, Prefetch, Source};
use crate::gpu::{BufferSlice, Gpu, Uploads};
use crate::graph::{Caps, DType, Layout, Plan, TensorType, Var};
use crate::mae::{self, MaeConfig};
use crate::nn::{Builder, ParamStore, State};
use crate::ops::{self, CropMode};
use crate::platform;
use crate::train::{Precision, Slot, TrainError, capped, decode_limit, largest_batch, slotted_images};
use crate::weights::TensorSource;

/// Most pictures of a batch.
const BATCH: usize = 32;

/// What of the encoder's output stands for a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pool {
    /// The mean over patches, each after the last layer norm: of small models it tells far more than the class token.
    #[default]
    Mean,
    /// The class token after the last layer norm, as in the paper's linear probe (appendix A.1).
    Class,
}

/// Where an encoder's weights come from.
pub enum Start<'a> {
    /// From here, under this program's names.
    Weights(&'a dyn TensorSource),
    /// They are initial ones: what a model knows before it has seen anything.
    Seed(u64),
}

/// How features are computed.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmbedOptions {
    /// What stands for a picture.
    pub pool: Pool,
    /// Number formats.
    pub precision: Precision,
}

/// An encoder on one device.
#[derive(Debug)]
pub struct Embedder {
    gpu: Arc<Gpu>,
    plan: Plan,
    features: BufferSlice,
    pixels: BufferSlice,
    sizes: BufferSlice,
    slot: Slot,
    batch: usize,
    width: usize,
    limit: u32,
}

/// Pooled features `[batch, width]` of pictures in slots.
fn pooled(config: &MaeConfig, slot: Slot, options: EmbedOptions, batch: usize) -> Result<(Builder, Var), TrainError> {
    let patches = config.patches();
    let mut b = Builder::new().mixed(options.precision == Precision::Mixed);
    let (image, _) = slotted_images(&mut b.graph, config, batch, slot, CropMode::CentreSquare)?;
    let noise = b.graph.external("noise", TensorType::f32(&[batch, patches]));
    let masks = mae::given_masks(&mut b.graph, config, noise)?;
    let latent = mae::encoder(&mut b, config, image, masks)?.latent;
    let [first, count] = match options.pool {
        Pool::Class => [0, 1],
        Pool::Mean => [1, patches],
    };
    let mut tokens = ops::slice_rows(&mut b.graph, latent, first, count)?;
    if b.graph.ty(tokens).dtype == DType::F16 {
        tokens = ops::cast(&mut b.graph, tokens, DType::F32)?;
    }
    let features = ops::mean_rows(&mut b.graph, tokens)?;
    Ok((b, features))
}

impl Embedder {
    /// The encoder of `config` with weights from `start`.
    ///
    /// # Errors
    /// Weights with a missing or misshapen tensor, each by name, and those of planning.
    pub async fn new(
        gpu: Arc<Gpu>,
        config: &MaeConfig,
        start: Start<'_>,
        options: EmbedOptions,
    ) -> Result<Embedder, TrainError> {
        let config = MaeConfig { mask_ratio: 0.0, encoder_sees_masks: false, ..config.clone() };
        let limit = decode_limit(config.image_size);
        let slot = Slot::for_limit(limit);
        let (batch, (mut b, features)) = largest_batch(BATCH, |batch| {
            let (builder, features) = pooled(&config, slot, options, batch)?;
            Layout::of(&builder.graph, &[features], Caps::of(&gpu))?;
            Ok((builder, features))
        })?;
        let width = config.width;
        ops::tune(&gpu, &mut b.graph, &[features], None).await?;
        let store = ParamStore::new(&gpu, b.params(), false).await?;
        match start {
            Start::Weights(weights) => store.load(&gpu, State::Weights, weights)?,
            Start::Seed(seed) => store.initialise(&gpu, seed),
        }
        let mut inputs = store.externals();
        let plan = Plan::build(&gpu, &b.graph, &[features], &mut inputs).await?;
        gpu.upload(inputs.need("noise")?, &mae::raster_noise(batch, config.patches()));
        let features = plan.need(features)?.clone();
        let [pixels, sizes] = [inputs.need("pixels")?, inputs.need("sizes")?].map(Clone::clone);
        Ok(Embedder { gpu, plan, features, pixels, sizes, slot, batch, width, limit })
    }

    /// Numbers of a picture's features.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Features of the largest centred squares of `pictures`, a row each.
    ///
    /// # Errors
    /// The device's.
    pub async fn embed(&self, pictures: Vec<Picture>) -> Result<Vec<f32>, TrainError> {
        let mut all = Vec::with_capacity(pictures.len() * self.width);
        let mut pictures = pictures.into_iter().map(capped).peekable();
        while pictures.peek().is_some() {
            // Of places that no picture fills the last ones' pixels are taken once more.
            let mut table = vec![1; self.batch * 4];
            let mut count = 0;
            for (place, picture) in pictures.by_ref().take(self.batch).enumerate() {
                let bytes = self.slot.words as u64 * 4;
                self.gpu.upload(&self.pixels.part(place as u64 * bytes, bytes), picture.pixels.as_slice());
                table[place * 4..][..2].copy_from_slice(&[picture.width, picture.height]);
                count += 1;
            }
            self.gpu.upload(&self.sizes, &table);
            self.plan.run(&self.gpu);
            let rows: Vec<f32> = self.gpu.read_one("features", &self.features).await?;
            all.extend_from_slice(&rows[..count * self.width]);
        }
        Ok(all)
    }

    /// Hands the features of each of the pictures `indices` of `source` that can be decoded to `each`, with the picture's
    /// index and in that order, decoding ahead. What cannot be decoded is logged and counted.
    ///
    /// # Errors
    /// [`TrainError::NoPictures`] where none can be decoded, the device's, and those of `each`.
    pub async fn embed_all<E: From<TrainError>>(
        &self,
        source: Arc<dyn Source>,
        indices: Vec<usize>,
        mut each: impl FnMut(usize, &[f32]) -> Result<(), E>,
    ) -> Result<usize, E> {
        self.embed_all_beside(&[], source, indices, |index, rows| each(index, rows[0])).await
    }

    /// As [`Embedder::embed_all`], by the encoders `others` of the same shape too, so that pictures are decoded once: `each`
    /// has a row of every encoder, this one's first.
    ///
    /// # Errors
    /// As [`Embedder::embed_all`].
    pub async fn embed_all_beside<E: From<TrainError>>(
        &self,
        others: &[&Embedder],
        source: Arc<dyn Source>,
        indices: Vec<usize>,
        mut each: impl FnMut(usize, &[&[f32]]) -> Result<(), E>,
    ) -> Result<usize, E> {
        let mut order = indices.clone().into_iter();
        let ahead = 2 * self.batch;
        let mut decoded = Prefetch::start(source, move || order.next(), ahead, platform::threads(), Some(self.limit));
        let mut indices = indices.into_iter();
        let (mut tried, mut skipped) = (0, 0);
        loop {
            platform::pause().await;
            decoded.ready(self.batch).await;
            let (mut numbers, mut pictures) = (Vec::new(), Vec::new());
            while pictures.len() < self.batch {
                // Pictures come in the order asked.
                let (Some(picture), Some(index)) = (decoded.next(), indices.next()) else { break };
                tried += 1;
                match picture {
                    Ok(picture) => {
                        numbers.push(index);
                        pictures.push(picture);
                    }
                    Err(error) => {
                        log::warn!("skipped: {error}");
                        skipped += 1;
                    }
                }
            }
            if pictures.is_empty() {
                break;
            }
            let mut features = Vec::with_capacity(1 + others.len());
            for other in others {
                features.push(other.embed(pictures.clone()).await?);
            }
            features.insert(0, self.embed(pictures).await?);
            for (place, index) in numbers.into_iter().enumerate() {
                let row = place * self.width..(place + 1) * self.width;
                let rows: Vec<&[f32]> = features.iter().map(|all| &all[row.clone()]).collect();
                each(index, &rows)?;
            }
        }
        if skipped == tried {
            let reason = format!("{tried} files were tried and none could be decoded");
            return Err(TrainError::NoPictures(reason).into());
        }
        Ok(skipped)
    }
}
