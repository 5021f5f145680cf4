//! Loss on pictures that are never trained on, at fixed masks.

use std::collections::BTreeSet;

use super::{Estimate, PictureSet, Pictures, Recipe, Slot, TrainError, largest_batch, slotted_images};
use crate::data::Picture;
use crate::gpu::{BufferSlice, Gpu, Pace, Uploads};
use crate::graph::{Caps, Layout, Plan, Var};
use crate::mae;
use crate::nn::{Builder, ParamStore};
use crate::ops::{self, CropMode};
use crate::platform;

/// Pictures whose masks are drawn together, and most in one measuring batch.
const TOGETHER: usize = 32;
/// Pictures whose strips are shown.
const SHOWN: usize = 8;
/// Sets the masks of held-out pictures apart from those of training, whatever the run's seed.
const SEED: u32 = 0x756e_6d61;

/// A forward pass over the held-out pictures.
#[derive(Debug)]
pub struct HeldOut {
    pictures: Pictures,
    plan: Plan,
    /// Pictures whose masks are drawn together: measured in batches of fewer, they are masked alike.
    together: usize,
    batch: usize,
    patches: usize,
    side: usize,
    slot: usize,
    pixels: BufferSlice,
    sizes: BufferSlice,
    step: BufferSlice,
    outputs: [BufferSlice; 3],
    activation_bytes: u64,
}

/// A batch of those that are masked together.
struct Part {
    /// The first of those.
    first: usize,
    /// How many of those come before this batch.
    place: usize,
    /// How many it adds.
    valid: usize,
}

/// What a measurement found.
#[derive(Clone, Debug)]
pub struct HeldOutResult {
    /// Mean square error over hidden patches, in the units of the training loss.
    pub loss: f64,
    /// Strips of the first pictures, RGBX, one under the other.
    pub strips: Vec<u8>,
    /// Width and height of `strips`.
    pub size: [u32; 2],
}

impl HeldOut {
    /// As many of `pictures` as `budget` bytes hold, evenly from all of them and a batch at least, and their bytes.
    pub fn within(mut pictures: Vec<Picture>, budget: u64) -> (Vec<Picture>, u64) {
        let all = pictures.len();
        let sizes: Vec<u64> = pictures.iter().map(|picture| picture.pixels.len() as u64).collect();
        let mut count = all;
        loop {
            let places: BTreeSet<usize> = (0..count).map(|place| place * all / count).collect();
            let bytes = places.iter().map(|place| sizes[*place]).sum();
            if bytes <= budget || count <= TOGETHER {
                if count < all {
                    log::info!("{count} of {all} held-out pictures are measured: more exceed {} MiB", budget >> 20);
                    let mut place = 0..;
                    pictures.retain(|_| place.next().is_some_and(|place| places.contains(&place)));
                }
                return (pictures, bytes);
            }
            count -= 1;
        }
    }

    /// Prepares measuring `pictures` with the weights in `store`.
    ///
    /// # Errors
    /// Those of planning, such as a device without enough memory.
    pub async fn new(
        gpu: &Gpu,
        recipe: &Recipe,
        store: &ParamStore,
        pictures: Pictures,
    ) -> Result<HeldOut, TrainError> {
        HeldOut::planned(gpu, Caps::of(gpu), recipe, store, pictures).await
    }

    async fn planned(
        gpu: &Gpu,
        caps: Caps,
        recipe: &Recipe,
        store: &ParamStore,
        pictures: Pictures,
    ) -> Result<HeldOut, TrainError> {
        let (together, slot) = (pictures.len().clamp(1, TOGETHER), pictures.slot());
        let (batch, (graph, roots, layout)) = largest_batch(together, |batch| {
            let (builder, roots) = measuring(recipe, slot, batch)?;
            let layout = Layout::of(&builder.graph, &roots, caps)?;
            Ok((builder.graph, roots, layout))
        })?;
        let mut externals = store.externals();
        externals.allocate(gpu, &graph).await?;
        let plan = Plan::new(gpu, &graph, &layout, &roots, &externals).await?;
        Ok(HeldOut {
            outputs: [plan.need(roots[0])?, plan.need(roots[1])?, plan.need(roots[2])?].map(Clone::clone),
            pixels: externals.need("pixels")?.clone(),
            sizes: externals.need("sizes")?.clone(),
            step: externals.need("step")?.clone(),
            patches: recipe.model.patches(),
            side: recipe.model.image_size,
            pictures,
            plan,
            together,
            batch,
            slot: slot.words,
            activation_bytes: layout.activation_bytes(),
        })
    }

    /// The same pictures, measured as `recipe` now says.
    ///
    /// # Errors
    /// As [`HeldOut::new`].
    pub async fn replanned(&self, gpu: &Gpu, recipe: &Recipe, store: &ParamStore) -> Result<HeldOut, TrainError> {
        HeldOut::new(gpu, recipe, store, self.pictures.clone()).await
    }

    /// Measures all pictures, at `pace`.
    ///
    /// # Errors
    /// The device's.
    pub async fn measure(&self, gpu: &Gpu, pace: &mut Pace) -> Result<HeldOutResult, TrainError> {
        let (mut sum, mut count) = (0.0, 0.0);
        let width = ops::PANELS * self.side;
        let mut result = HeldOutResult { loss: 0.0, strips: Vec::new(), size: [width as u32, 0] };
        for at in (0..self.pictures.len()).step_by(self.together).flat_map(|first| self.parts(first)) {
            platform::pause().await;
            let Part { first, place, valid } = at;
            // What is left of a batch that is not full is filled from the start; only its own rows count.
            let wanted = first + place..first + place + self.batch;
            let indices: Vec<usize> = wanted.map(|i| i % self.pictures.len()).collect();
            self.pictures.fill(gpu, &indices, self.slot, &self.pixels, &self.sizes);
            gpu.upload(&self.step, &[SEED, first as u32, 1, place as u32]);
            pace.run(gpu, self.plan.list()).await?;
            let read = gpu.read("held-out loss", &self.outputs).await?;
            let per_patch: Vec<f32> = bytemuck::pod_collect_to_vec(&read[0]);
            let mask: Vec<f32> = bytemuck::pod_collect_to_vec(&read[1]);
            for (error, hidden) in per_patch.iter().zip(&mask).take(valid * self.patches) {
                sum += f64::from(*error) * f64::from(*hidden);
                count += f64::from(*hidden);
            }
            let shown = valid.min(SHOWN.saturating_sub(first + place));
            result.strips.extend_from_slice(&read[2][..shown * self.side * width * 4]);
            result.size[1] += (shown * self.side) as u32;
        }
        result.loss = sum / f64::max(count, 1.0);
        Ok(result)
    }

    /// The batches in which the pictures from `first` on that are masked together are measured.
    fn parts(&self, first: usize) -> impl Iterator<Item = Part> {
        let (all, batch) = (self.together.min(self.pictures.len() - first), self.batch);
        (0..all).step_by(batch).map(move |place| Part { first, place, valid: batch.min(all - place) })
    }

    /// Width and height of the strips of one batch, one below the other.
    pub fn strip_size(&self) -> [u32; 2] {
        [(ops::PANELS * self.side) as u32, (self.batch * self.side) as u32]
    }

    /// Rebuilds the first batch and puts its strips into `texture` of [`HeldOut::strip_size`]; nothing is read back.
    pub fn paint(&self, gpu: &Gpu, texture: &wgpu::Texture) {
        let indices: Vec<usize> = (0..self.batch).collect();
        self.pictures.fill(gpu, &indices, self.slot, &self.pixels, &self.sizes);
        gpu.upload(&self.step, &[SEED, 0, 1, 0]);
        self.plan.run(gpu);
        gpu.paint(&self.outputs[2], texture);
    }

    /// `estimate` with what measuring takes.
    pub(super) fn added_to(&self, estimate: Estimate) -> Estimate {
        Estimate {
            activations: estimate.activations + self.activation_bytes,
            pixels: estimate.pixels + self.pictures.bytes() + self.pixels.bytes,
            ..estimate
        }
    }

    /// A checksum of the pictures' names.
    pub fn fingerprint(&self) -> u32 {
        PictureSet::of(self.pictures.names().iter().map(String::as_str)).names
    }

    /// Number of held-out pictures.
    pub fn pictures(&self) -> usize {
        self.pictures.len()
    }
}

/// Errors of patches, masks and strips of `batch` pictures in slots.
fn measuring(recipe: &Recipe, slot: Slot, batch: usize) -> Result<(Builder, [Var; 3]), TrainError> {
    let config = &recipe.model;
    let norm = config.pixel_norm();
    let mut b = Builder::new();
    let (image, step) = slotted_images(&mut b.graph, config, batch, slot, CropMode::CentreSquare)?;
    let masks = mae::random_masks(&mut b.graph, config, batch, step)?;
    let vars = mae::autoencoder(&mut b, config, image, masks)?;
    let strips = ops::preview(&mut b.graph, image, vars.pred, masks.mask, vars.patch_stats, config.patch_size, norm)?;
    Ok((b, [vars.per_patch, masks.mask, strips]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::GpuOptions;

    #[test]
    fn pictures_that_exceed_a_budget_are_thinned_out_evenly_to_a_batch_at_least() {
        let pictures = |count: usize| -> Vec<Picture> {
            let picture = |i| Picture { name: format!("{i}"), width: 10, height: 5, pixels: vec![0; 200] };
            (0..count).map(picture).collect()
        };
        let kept = |count: usize, budget: u64| {
            let (kept, bytes) = HeldOut::within(pictures(count), budget);
            assert_eq!(bytes, 200 * kept.len() as u64);
            kept.into_iter().map(|picture| picture.name.parse::<usize>().expect("a number")).collect::<Vec<_>>()
        };
        assert_eq!(kept(100, 20_000), (0..100).collect::<Vec<_>>());
        assert_eq!(kept(100, 10_199), (0..100).step_by(2).collect::<Vec<_>>());
        assert_eq!(kept(100, 0).len(), TOGETHER);
        assert_eq!(kept(7, 0).len(), 7);
        assert!(kept(0, 0).is_empty());
    }

    #[test]
    fn pictures_are_masked_and_measured_alike_in_smaller_batches() {
        pollster::block_on(async {
            let gpu = Gpu::open(&GpuOptions::default()).await.expect("an adapter");
            let recipe = Recipe::load("micro").expect("a preset");
            let picture = |i: u32| {
                let pixels = (0..40 * 40 * 4u32).map(|at| (at.wrapping_mul(i + 3) >> 5) as u8).collect();
                Picture { name: i.to_string(), width: 40, height: 40, pixels }
            };
            let pictures = Pictures::upload(&gpu, (0..40).map(picture).collect()).await.expect("pictures");
            let (builder, _) = measuring(&recipe, pictures.slot(), 1).expect("a graph");
            let store = ParamStore::new(&gpu, builder.params(), false).await.expect("parameters");
            store.initialise(&gpu, 3);
            let mut results = Vec::new();
            for (max_binding, batch) in [(gpu.max_binding(), 32), (350_000, 4)] {
                let caps = Caps { max_binding, ..Caps::of(&gpu) };
                let held_out = HeldOut::planned(&gpu, caps, &recipe, &store, pictures.clone()).await.expect("a plan");
                assert_eq!(held_out.batch, batch);
                results.push(held_out.measure(&gpu, &mut Pace::default()).await.expect("a result"));
            }
            let (whole, parts) = (&results[0], &results[1]);
            assert!((whole.loss - parts.loss).abs() < 1e-6 * whole.loss, "{} and {}", whole.loss, parts.loss);
            assert_eq!((whole.size, &whole.strips), (parts.size, &parts.strips));
        });
    }
}
