//! A picture, a mask and a model, again and again: what reconstructing and exploring have in common.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Opened, Pictures, Profile, Slot, TrainError, capped, slotted_images};
use crate::data::Picture;
use crate::eval::psnr_db;
use crate::gpu::{BufferSlice, Gpu, Uploads};
use crate::graph::{Externals, Plan, TensorType};
use crate::mae::{self, MaeConfig};
use crate::nn::{Builder, ParamStore, State};
use crate::ops::{self, CropMode, MaskNoise, MaskStrategy};
use crate::platform;

/// Plans of other visible counts that are kept, so that a slider moves without planning.
const KEPT_PLANS: usize = 16;

/// Which patches of a picture are hidden.
#[derive(Clone, Debug, PartialEq)]
pub enum Hidden {
    /// By a strategy: share of patches and seed.
    Ratio {
        /// How they are chosen; `None` as the model was trained.
        strategy: Option<MaskStrategy>,
        /// 0 to under 1.
        ratio: f64,
        /// The same seed hides the same patches on every adapter.
        seed: u32,
    },
    /// All but these patches, by raster index.
    Keep(Vec<usize>),
}

/// Where the last run left its results on the device.
#[derive(Clone, Debug)]
pub struct Rebuilt {
    /// The picture as the model saw it `[1, 3, S, S]`, normalised.
    pub image: BufferSlice,
    /// Predicted patches `[1, L, p * p * 3]`.
    pub pred: BufferSlice,
    /// Mean and deviation of each patch `[L, 2]`, where the model predicts normalised ones.
    pub stats: Option<BufferSlice>,
    /// 1 where hidden `[1, L]`.
    pub mask: BufferSlice,
    /// Error of each patch `[1, L, 2]`, see [`ops::PatchError`].
    pub errors: BufferSlice,
    /// Four panels u32 `[1, S, 4 S]`, see [`ops::Preview`].
    pub strip: BufferSlice,
    /// When the device was given the work, on the clock of [`platform::now_seconds`]: planning comes before.
    pub submitted: f64,
}

/// Masks and errors of a run, read back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// Whether each patch is hidden.
    pub hidden: Vec<bool>,
    /// Mean square error of each patch, in normalised units.
    pub patch_mse: Vec<f32>,
    /// Mean over hidden patches, in normalised units; 0 where none is hidden.
    pub hidden_mse: f64,
    /// The same as PSNR in dB, of pixels that span 0 to 1; none where none is hidden.
    pub hidden_psnr_db: Option<f64>,
}

#[derive(Debug)]
struct Prepared {
    plan: Plan,
    rebuilt: Rebuilt,
}

/// A model with one picture at a time.
#[derive(Debug)]
pub struct Explorer {
    gpu: Arc<Gpu>,
    config: MaeConfig,
    store: Arc<ParamStore>,
    inputs: Externals,
    slot: Option<Slot>,
    plans: HashMap<usize, Prepared>,
    /// Visible counts of `plans`, the latest last.
    recent: Vec<usize>,
    noises: HashMap<(MaskStrategy, usize), Plan>,
}

impl Explorer {
    /// Loads a model.
    ///
    /// # Errors
    /// Weights without a decoder, with a missing or misshapen tensor, each by name.
    pub async fn load(gpu: Arc<Gpu>, model: &Opened) -> Result<Explorer, TrainError> {
        model.need_decoder()?;
        let config = model.config.clone();
        let mut b = Builder::new();
        model_graph(&mut b, &config, Slot::LEAST)?;
        let store = ParamStore::new(&gpu, b.params(), false).await?;
        store.load(&gpu, State::Weights, &model.weights)?;
        Explorer::new(gpu, config, Arc::new(store)).await
    }

    /// Over parameters that are on the device already, as those of a model in training are.
    ///
    /// # Errors
    /// The device's, such as that it has no memory left.
    pub async fn new(gpu: Arc<Gpu>, config: MaeConfig, store: Arc<ParamStore>) -> Result<Explorer, TrainError> {
        let mut inputs = store.externals();
        for (name, bytes) in [("sizes", 16), ("step", 16), ("noise", config.patches() as u64 * 4)] {
            inputs.insert(name, gpu.buffer(name, bytes).await?);
        }
        Ok(Explorer {
            gpu,
            config,
            store,
            inputs,
            slot: None,
            plans: HashMap::new(),
            recent: Vec::new(),
            noises: HashMap::new(),
        })
    }

    /// The model.
    pub fn config(&self) -> &MaeConfig {
        &self.config
    }

    /// Its parameters.
    pub fn store(&self) -> &Arc<ParamStore> {
        &self.store
    }

    /// Takes up `picture`, of which the model sees the largest centred square.
    ///
    /// # Errors
    /// The device's, such as that it has no memory left.
    pub async fn set_picture(&mut self, picture: Picture) -> Result<(), TrainError> {
        let pictures = Pictures::upload(&self.gpu, vec![capped(picture)]).await?;
        let Slot { words, rows, short } = pictures.slot();
        let side = CropMode::CentreSquare.most_rows(rows, short);
        let slot = match self.slot {
            Some(slot) if words <= slot.words && side <= slot.short => slot,
            before => {
                // Larger than any before: a power of two, so that pictures of like size do not plan anew.
                let least = before.unwrap_or(Slot::LEAST);
                let side = side.next_power_of_two().max(least.short);
                let slot = Slot { words: words.next_power_of_two().max(least.words), rows: side, short: side };
                let pixels = self.gpu.buffer("pixels", slot.words as u64 * 4).await?;
                // Nothing can go wrong any more: after a picture that is too large the next one finds all as it was.
                self.inputs.insert("pixels", pixels);
                self.slot = Some(slot);
                self.plans.clear();
                self.recent.clear();
                slot
            }
        };
        pictures.fill(&self.gpu, &[0], slot.words, &self.input("pixels")?, &self.input("sizes")?);
        Ok(())
    }

    fn input(&self, name: &str) -> Result<BufferSlice, TrainError> {
        Ok(self.inputs.need(name)?.clone())
    }

    /// Submits one reconstruction of the picture.
    ///
    /// # Errors
    /// [`TrainError::Mask`] for a mask that does not go with the model, [`TrainError::NoPictures`] before there is one.
    pub async fn run(&mut self, hidden: &Hidden) -> Result<Rebuilt, TrainError> {
        let Some(slot) = self.slot else {
            return Err(TrainError::NoPictures("there is none to hide patches of yet".to_owned()));
        };
        let visible = match hidden {
            Hidden::Ratio { strategy, ratio, seed } => {
                let config = MaeConfig { mask_ratio: *ratio, ..self.config.clone() };
                config.check()?;
                self.draw_noise(strategy.unwrap_or(config.mask_strategy), config.visible(), *seed).await?;
                config.visible()
            }
            Hidden::Keep(keep) => {
                check_keep(keep, self.config.patches())?;
                let mut noise = vec![1.0f32; self.config.patches()];
                keep.iter().for_each(|patch| noise[*patch] = 0.0);
                self.gpu.upload(&self.input("noise")?, &noise);
                keep.len()
            }
        };
        // Pictures of one's own choice are not cropped at random: the counter only has to be there.
        let step = if let Hidden::Ratio { seed, .. } = hidden { [*seed, 0, 2, 0] } else { [0; 4] };
        self.gpu.upload(&self.input("step")?, &step);
        self.prepare(slot, visible).await?;
        let prepared = &self.plans[&visible];
        let submitted = platform::now_seconds();
        prepared.plan.run(&self.gpu);
        Ok(Rebuilt { submitted, ..prepared.rebuilt.clone() })
    }

    async fn draw_noise(&mut self, strategy: MaskStrategy, visible: usize, seed: u32) -> Result<(), TrainError> {
        let hidden = self.config.patches() - visible;
        let key = (strategy, hidden);
        self.gpu.upload(&self.input("step")?, &[seed, 0, 2, 0]);
        if let Some(plan) = self.noises.get(&key) {
            plan.run(&self.gpu);
            return Ok(());
        }
        let mut b = Builder::new();
        let step = b.graph.external("step", TensorType::u32(&[4]));
        let op = MaskNoise { strategy, batch: 1, grid: self.config.grid(), hidden };
        let noise = b.graph.add1(op, &[step])?;
        b.graph.store(noise, "noise");
        let plan = Plan::build(&self.gpu, &b.graph, &[], &mut self.inputs).await?;
        plan.run(&self.gpu);
        self.noises.insert(key, plan);
        Ok(())
    }

    /// Makes the plan of `visible` patches of a picture in `slot`, if it is not kept.
    async fn prepare(&mut self, slot: Slot, visible: usize) -> Result<(), TrainError> {
        self.recent.retain(|count| *count != visible);
        self.recent.push(visible);
        if self.plans.contains_key(&visible) {
            return Ok(());
        }
        if self.recent.len() > KEPT_PLANS {
            self.plans.remove(&self.recent.remove(0));
        }
        let patches = self.config.patches();
        let mut b = Builder::new();
        // A ratio in the middle of those that leave this count, so that rounding leaves it.
        let ratio = (1.0 - (visible as f64 + 0.5) / patches as f64).max(0.0);
        let config = MaeConfig { mask_ratio: ratio, ..self.config.clone() };
        let vars = model_graph(&mut b, &config, slot)?;
        let roots: Vec<_> = vars.vars.iter().copied().chain(vars.stats).collect();
        let plan = Plan::build(&self.gpu, &b.graph, &roots, &mut self.inputs).await?;
        let slice = |index: usize| -> Result<BufferSlice, TrainError> { Ok(plan.need(roots[index])?.clone()) };
        let rebuilt = Rebuilt {
            image: slice(0)?,
            pred: slice(1)?,
            mask: slice(2)?,
            errors: slice(3)?,
            strip: slice(4)?,
            stats: vars.stats.map(|_| slice(5)).transpose()?,
            submitted: 0.0,
        };
        self.plans.insert(visible, Prepared { plan, rebuilt });
        Ok(())
    }

    /// What a reconstruction costs: time by op, where the adapter has timestamps, and memory by tensor.
    ///
    /// # Errors
    /// Those of the device.
    pub async fn profile(&self) -> Result<Profile, TrainError> {
        let plan = self.recent.last().and_then(|visible| self.plans.get(visible)).map(|prepared| &prepared.plan);
        Profile::of(&self.gpu, plan, self.store.specs()).await
    }

    /// Reads back which patches `rebuilt` hid and how well each came out.
    ///
    /// # Errors
    /// The device's.
    pub async fn measure(&self, rebuilt: &Rebuilt) -> Result<Measured, TrainError> {
        let read = self.gpu.read("errors", &[rebuilt.mask.clone(), rebuilt.errors.clone()]).await?;
        let mask: Vec<f32> = bytemuck::pod_collect_to_vec(&read[0]);
        let errors: Vec<[f32; 2]> = bytemuck::pod_collect_to_vec(&read[1]);
        let hidden: Vec<bool> = mask.iter().map(|mask| *mask != 0.0).collect();
        let any = hidden.contains(&true);
        let count = hidden.iter().filter(|hidden| **hidden).count().max(1) as f64;
        let mean = |unit: usize| {
            errors.iter().zip(&hidden).filter(|(_, hidden)| **hidden).map(|(e, _)| f64::from(e[unit])).sum::<f64>()
                / count
        };
        Ok(Measured {
            patch_mse: errors.iter().map(|error| error[0]).collect(),
            hidden_mse: mean(0),
            hidden_psnr_db: any.then(|| psnr_db(mean(1), 1.0)),
            hidden,
        })
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

struct ModelVars {
    /// image, pred, mask, errors, strip.
    vars: [crate::graph::Var; 5],
    stats: Option<crate::graph::Var>,
}

fn model_graph(b: &mut Builder, config: &MaeConfig, slot: Slot) -> Result<ModelVars, TrainError> {
    let norm = config.pixel_norm();
    let (image, _) = slotted_images(&mut b.graph, config, 1, slot, CropMode::CentreSquare)?;
    let noise = b.graph.external("noise", TensorType::f32(&[1, config.patches()]));
    let masks = mae::given_masks(&mut b.graph, config, noise)?;
    let out = mae::autoencoder(b, config, image, masks)?;
    let (stats, patch) = (out.patch_stats, config.patch_size);
    let errors = ops::patch_error(&mut b.graph, image, out.pred, stats, patch, norm)?;
    let strip = ops::preview(&mut b.graph, image, out.pred, masks.mask, stats, patch, norm)?;
    Ok(ModelVars { vars: [image, out.pred, masks.mask, errors, strip], stats })
}
