//! Pictures on their way into a batch: resident in GPU memory where they fit a budget, else streamed.
//!
//! Either way a batch ends up in the same two buffers: `pixels`, a slot of RGBX words a picture, and `sizes`.

mod failures;

use std::sync::Arc;

use super::{PictureSet, TrainError};
use crate::data::{Loaded, Picture, Prefetch, Sampler, Source, load_all_beside};
use crate::gpu::{BufferSlice, Gpu, GpuError, Uploads};
use crate::platform;
use failures::{Failures, check_set, check_so_far, with_first};

/// Longest side over shortest that a picture keeps; more is cut off at both ends, so that slots stay small.
const MAX_ASPECT: u32 = 3;
/// Pictures decoded at a time while it is open whether all of them fit the budget.
const DECODE_CHUNK: usize = 256;
/// Bytes of one buffer of resident pixels.
const CHUNK_BYTES: u64 = 64 << 20;

/// Short side to which large pictures are reduced when they are decoded, for a model of side `image_size`.
///
/// A crop of a fifth of the area still has about as many pixels as the model sees.
pub fn decode_limit(image_size: usize) -> u32 {
    (image_size as u32 * 2).max(160)
}

/// A picture with its aspect ratio cut down to [`MAX_ASPECT`].
pub fn capped(picture: Picture) -> Picture {
    let Picture { name, width, height, pixels } = picture;
    let (w, h) = (width.min(height * MAX_ASPECT), height.min(width * MAX_ASPECT));
    if (w, h) == (width, height) {
        return Picture { name, width, height, pixels };
    }
    let (left, top) = ((width - w) / 2, (height - h) / 2);
    let line = |y: u32| {
        let start = ((top + y) * width + left) as usize * 4;
        &pixels[start..start + w as usize * 4]
    };
    let pixels = (0..h).flat_map(line).copied().collect();
    Picture { name, width: w, height: h, pixels }
}

/// Room for any picture of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Words of the largest.
    pub words: usize,
    /// Rows of the tallest.
    pub rows: usize,
    /// The longest short side, pixels.
    pub short: usize,
}

impl Slot {
    /// Room for a picture of one pixel.
    pub const LEAST: Slot = Slot { words: 1, rows: 1, short: 1 };

    /// Bytes of room for `count` pictures; numbers of 32 bits, as a page has them, may not hold them.
    pub fn bytes(self, count: usize) -> u64 {
        count as u64 * self.words as u64 * 4
    }

    /// Room for whatever is decoded with a short side of at most `limit`.
    pub fn for_limit(limit: u32) -> Slot {
        let (short, aspect) = (limit as usize, MAX_ASPECT as usize);
        Slot { words: short * short * aspect, rows: short * aspect, short }
    }
}

/// One picture's place in resident memory.
#[derive(Clone, Debug)]
struct Resident {
    chunk: usize,
    offset: u64,
    width: u32,
    height: u32,
}

/// Decoded pictures in GPU memory, which copies share.
#[derive(Clone, Debug)]
pub struct Pictures {
    chunks: Vec<BufferSlice>,
    places: Vec<Resident>,
    names: Vec<String>,
}

impl Pictures {
    /// Uploads `pictures`.
    pub async fn upload(gpu: &Gpu, pictures: Vec<Picture>) -> Result<Pictures, GpuError> {
        let mut packed: Vec<Vec<u8>> = Vec::new();
        let (mut places, mut names) = (Vec::new(), Vec::new());
        for picture in pictures {
            let room = packed.last().is_some_and(|chunk| (chunk.len() + picture.pixels.len()) as u64 <= CHUNK_BYTES);
            if !room {
                packed.push(Vec::new());
            }
            let chunk = packed.len() - 1;
            let offset = packed[chunk].len() as u64;
            places.push(Resident { chunk, offset, width: picture.width, height: picture.height });
            packed[chunk].extend_from_slice(&picture.pixels);
            names.push(picture.name);
        }
        let mut chunks = Vec::new();
        for bytes in &packed {
            let slice = gpu.buffer("pictures", bytes.len() as u64).await?;
            gpu.upload(&slice, bytes.as_slice());
            chunks.push(slice);
            if packed.len() > 1 {
                // So that they do not lie in main memory once more, all together.
                gpu.flush();
            }
        }
        Ok(Pictures { chunks, places, names })
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Bytes that they take.
    pub fn bytes(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.bytes).sum()
    }

    /// Their names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Room for any of them.
    pub fn slot(&self) -> Slot {
        let most = |of: fn(&Resident) -> u32| self.places.iter().map(of).max().unwrap_or(1) as usize;
        Slot { words: most(|p| p.width * p.height), rows: most(|p| p.height), short: most(|p| p.width.min(p.height)) }
    }

    /// Copies the pictures `indices` into a batch's `pixels` and `sizes`, on the device.
    pub fn fill(&self, gpu: &Gpu, indices: &[usize], slot: usize, pixels: &BufferSlice, sizes: &BufferSlice) {
        let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("feed") });
        let mut table = Vec::with_capacity(indices.len() * 4);
        for (position, index) in indices.iter().enumerate() {
            let place = &self.places[*index];
            let bytes = u64::from(place.width) * u64::from(place.height) * 4;
            let to = pixels.offset + position as u64 * slot as u64 * 4;
            encoder.copy_buffer_to_buffer(&self.chunks[place.chunk].buffer, place.offset, &pixels.buffer, to, bytes);
            table.extend([place.width, place.height, *index as u32, 0]);
        }
        gpu.upload(sizes, &table);
        gpu.submit([encoder.finish()]);
    }
}

/// Pictures as the device stores them: their pixels with capped aspect.
pub fn packed(loaded: Loaded) -> Vec<Picture> {
    loaded.pictures.into_iter().map(|(_, picture)| capped(picture)).collect()
}

enum Supply {
    Resident { pictures: Pictures, sampler: Sampler },
    Stream { prefetch: Prefetch },
}

/// How pictures are fed.
#[derive(Clone, Copy, Debug)]
pub struct FeedOptions {
    /// Pictures a batch.
    pub batch: usize,
    /// Seed of the order.
    pub seed: u64,
    /// Samples drawn before, for resuming.
    pub samples: u64,
    /// Bytes of GPU memory for pixels.
    pub budget: u64,
    /// Short side to which larger pictures are reduced.
    pub limit: u32,
    /// Largest share of the files that may be unreadable.
    pub max_unreadable: f64,
}

/// Endless shuffled batches.
pub struct Feed {
    supply: Supply,
    slot: Slot,
    batch: usize,
    samples: u64,
    skipped: Vec<String>,
    /// Streamed files that could not be read, and the share of them at which to give up.
    failures: Failures,
    max_unreadable: f64,
    /// Seconds spent waiting for pictures.
    waited: f64,
    pictures: PictureSet,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed")
            .field("pictures", &self.pictures.count)
            .field("samples", &self.samples)
            .finish_non_exhaustive()
    }
}

/// What decoding a set, or as much of it as fits the budget, came to.
struct Tried {
    pictures: Vec<Picture>,
    fits: bool,
    /// Names of files that could not be decoded.
    skipped: Vec<String>,
    /// What is wrong with the first of them.
    first: Option<String>,
}

impl Tried {
    /// Decodes the pictures `indices` of `source` until they exceed the budget.
    async fn decode(source: &dyn Source, indices: &[usize], options: &FeedOptions) -> Result<Tried, TrainError> {
        let mut tried = Tried { pictures: Vec::new(), fits: true, skipped: Vec::new(), first: None };
        let mut bytes = 0u64;
        for chunk in indices.chunks(DECODE_CHUNK) {
            platform::pause().await;
            let loaded = load_all_beside(source, chunk, Some(options.limit), platform::threads()).await;
            tried.first = tried.first.or_else(|| loaded.skipped.first().map(|(_, error)| error.to_string()));
            tried.skipped.extend(loaded.skipped.iter().map(|(name, _)| name.clone()));
            let decoded = packed(loaded);
            bytes += decoded.iter().map(|picture| picture.pixels.len() as u64).sum::<u64>();
            tried.pictures.extend(decoded);
            // Not after hours, of a disk that went away.
            check_so_far(tried.pictures.len(), indices.len(), &tried.skipped, options.max_unreadable)
                .map_err(|error| with_first(error, tried.first.as_deref()))?;
            if bytes > options.budget {
                tried.fits = false;
                break;
            }
        }
        if tried.pictures.is_empty() {
            let first = tried.first.map(|first| format!("; the first: {first}")).unwrap_or_default();
            let reason = format!("{} files were tried and none could be decoded{first}", tried.skipped.len());
            return Err(TrainError::NoPictures(reason));
        }
        Ok(tried)
    }
}

impl Feed {
    /// Opens the pictures `indices` of `source`, resident if they fit the budget.
    ///
    /// # Errors
    /// [`TrainError::NoPictures`] where none can be read, [`TrainError::Unreadable`] where too many cannot.
    pub async fn open(
        gpu: &Gpu,
        source: Arc<dyn Source>,
        indices: &[usize],
        options: FeedOptions,
    ) -> Result<Feed, TrainError> {
        let Tried { pictures, fits, skipped, first } = Tried::decode(source.as_ref(), indices, &options).await?;
        if fits {
            check_set(pictures.len(), &skipped, options.max_unreadable)
                .map_err(|error| with_first(error, first.as_deref()))?;
            let set = PictureSet::of(pictures.iter().map(|picture| picture.name.as_str()));
            let pictures = Pictures::upload(gpu, pictures).await?;
            let (slot, sampler) = (pictures.slot(), Sampler::new(set.count, options.seed));
            return Ok(Feed::new(Supply::Resident { pictures, sampler }, slot, set, skipped, &options));
        }
        log::info!("pictures exceed the budget of {} MiB and are streamed", options.budget >> 20);
        let set = PictureSet::of(indices.iter().map(|index| source.name(*index)));
        let sampler = Sampler::new(set.count, options.seed);
        let (order, mut next) = (indices.to_vec(), options.samples);
        let order = move || {
            next += 1;
            Some(order[sampler.index(next - 1)])
        };
        let limit = options.limit;
        let prefetch = Prefetch::start(source, order, options.batch * 2, platform::threads(), Some(limit));
        Ok(Feed::new(Supply::Stream { prefetch }, Slot::for_limit(limit), set, Vec::new(), &options))
    }

    fn new(supply: Supply, slot: Slot, pictures: PictureSet, skipped: Vec<String>, options: &FeedOptions) -> Feed {
        Feed {
            supply,
            slot,
            batch: options.batch,
            samples: options.samples,
            skipped,
            failures: Failures::default(),
            max_unreadable: options.max_unreadable,
            waited: 0.0,
            pictures,
        }
    }

    /// Room for any of its pictures.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// The pictures; of those that stream, whether they can be read or not.
    pub fn pictures(&self) -> PictureSet {
        self.pictures
    }

    /// Bytes of pictures that stay on the device.
    pub fn resident_bytes(&self) -> u64 {
        match &self.supply {
            Supply::Resident { pictures, .. } => pictures.bytes(),
            Supply::Stream { .. } => 0,
        }
    }

    /// Names of files that could not be decoded, where all were decoded to stay on the device.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// Pictures of a stream that could not be read so far, of how many that were tried, and names of the latest.
    pub fn unreadable(&self) -> (u64, u64, &[String]) {
        (self.failures.failed, self.failures.tried, &self.failures.latest)
    }

    /// Seconds that were spent waiting for pictures to be read and decoded.
    pub fn waited(&self) -> f64 {
        self.waited
    }

    /// Samples drawn so far.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Waits until the pictures of the next batch are decoded, in a page where they are decoded beside it.
    pub async fn ready(&mut self) {
        if let Supply::Stream { prefetch } = &mut self.supply {
            let asked = platform::now_seconds();
            prefetch.ready(self.batch).await;
            self.waited += platform::now_seconds() - asked;
        }
    }

    /// Puts the next batch into `pixels` and `sizes`.
    ///
    /// # Errors
    /// [`TrainError::Unreadable`] where too many of the streamed files are.
    pub fn next(&mut self, gpu: &Gpu, pixels: &BufferSlice, sizes: &BufferSlice) -> Result<(), TrainError> {
        match &mut self.supply {
            Supply::Resident { pictures, sampler } => {
                let indices: Vec<usize> = (0..self.batch as u64).map(|i| sampler.index(self.samples + i)).collect();
                pictures.fill(gpu, &indices, self.slot.words, pixels, sizes);
                self.samples += self.batch as u64;
            }
            Supply::Stream { prefetch } => {
                let mut position = 0;
                let mut table = Vec::with_capacity(self.batch * 4);
                while position < self.batch {
                    let asked = platform::now_seconds();
                    let decoded = prefetch.next();
                    self.waited += platform::now_seconds() - asked;
                    self.samples += 1;
                    match decoded {
                        Some(Ok(picture)) => {
                            self.failures.note(None, self.max_unreadable)?;
                            let picture = capped(picture);
                            let slot = pixels.part(self.slot.bytes(position), self.slot.bytes(1));
                            gpu.upload(&slot, picture.pixels.as_slice());
                            table.extend([picture.width, picture.height, position as u32, 0]);
                            position += 1;
                        }
                        Some(Err(error)) => {
                            log::warn!("skipped: {error}");
                            let name = error.picture().unwrap_or_default();
                            self.failures.note(Some(name), self.max_unreadable)?;
                        }
                        None => return Err(TrainError::NoPictures("the stream of pictures has ended".to_owned())),
                    }
                }
                gpu.upload(sizes, &table);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_of_a_batch_may_take_more_than_32_bits_count() {
        let slot = Slot::for_limit(448);
        assert_eq!(slot.bytes(2048), 2048 * (448 * 448 * 3) * 4);
        assert!(slot.bytes(2048) > u64::from(u32::MAX));
    }
}
