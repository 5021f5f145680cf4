//! What a session is asked to do, and getting ready for it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::data;
use crate::gpu::{AdapterRequest, Gpu, GpuError, GpuOptions};
use crate::graph::Caps;
use crate::nn::State;
use crate::platform;
use crate::train::{Checkpoint, Estimate, Hints, LockedRun, Opened, Recipe, RunFolder, TrainError, Trainer, estimate};
use crate::weights::{TensorSource as _, WeightsError};

/// Errors of a session.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// Training.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The session's thread could not be started.
    #[error("the session's thread could not be started: {0}")]
    Thread(std::io::Error),
    /// The device went away.
    #[error("the GPU device was lost: {0}")]
    Lost(String),
}

impl From<GpuError> for JobError {
    fn from(error: GpuError) -> Self {
        JobError::Train(error.into())
    }
}

/// What a run begins with.
#[derive(Clone)]
pub enum Begin {
    /// Weights of its own.
    New,
    /// The weights of this file or folder.
    Weights(PathBuf),
    /// The run in the job's folder at its newest checkpoint.
    Resume,
    /// A snapshot of a run, with or without a folder: instead of the folder's own checkpoints.
    Snapshot(Arc<Checkpoint>),
}

/// A training job.
#[derive(Clone)]
pub struct Job {
    /// Pictures instead of those that the recipe names, as dropped onto a window.
    pub pictures: Option<Arc<dyn data::Source>>,
    /// Settings; for a run that goes on those of its folder or snapshot, but for what may change, see
    /// [`Recipe::resumed`]; its steps are never fewer.
    pub recipe: Recipe,
    /// What it begins with.
    pub begin: Begin,
    /// Folder to write; none writes nothing.
    pub out: Option<PathBuf>,
    /// Which adapter, where the session opens a device of its own.
    pub adapter: AdapterRequest,
    /// Stop after this many steps of this session, saved, as if asked to.
    pub stop_after: Option<u64>,
}

impl Job {
    /// A run of `recipe` from its first step to its last, which writes nothing.
    pub fn new(recipe: Recipe) -> Job {
        let adapter = AdapterRequest::default();
        Job { pictures: None, recipe, begin: Begin::New, out: None, adapter, stop_after: None }
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("recipe", &self.recipe).field("out", &self.out).finish_non_exhaustive()
    }
}

/// A trainer ready to step.
pub struct Prepared {
    /// The trainer.
    pub trainer: Trainer,
    /// Its folder.
    pub folder: Option<RunFolder>,
    /// Estimated memory.
    pub estimate: Estimate,
}

/// A run that goes on, as it stood: nothing of it is changed yet.
struct Earlier {
    /// Its folder, where it has one already.
    folder: Option<LockedRun>,
    recipe: Recipe,
    checkpoint: Option<Arc<Checkpoint>>,
}

impl Earlier {
    /// The run that `job` goes on with; none where a new one begins.
    ///
    /// Said before any time is spent on pictures and kernels.
    ///
    /// # Errors
    /// A folder that holds no run to go on with, or where none can begin.
    fn of(job: &Job) -> Result<Option<Earlier>, TrainError> {
        let (folder, recipe, checkpoint) = match (&job.begin, &job.out) {
            (Begin::New | Begin::Weights(_), out) => {
                out.as_deref().map_or(Ok(()), RunFolder::check_free)?;
                return Ok(None);
            }
            (Begin::Resume, Some(out)) => {
                let (folder, recipe, checkpoint) = RunFolder::lock(out)?;
                (Some(folder), recipe, checkpoint.map(Arc::new))
            }
            (Begin::Resume, None) => {
                let reason = "a run is to go on, but not told where it lies".to_owned();
                return Err(TrainError::RunFolder { path: "(none)".to_owned(), reason });
            }
            (Begin::Snapshot(snapshot), out) => {
                let folder = match out {
                    Some(out) if RunFolder::is_run(out) => Some(RunFolder::lock_at(out, snapshot.step)?),
                    // One that is new is made once nothing can go wrong any more.
                    out => {
                        out.as_deref().map_or(Ok(()), RunFolder::check_free)?;
                        None
                    }
                };
                (folder, snapshot.recipe.clone(), Some(snapshot.clone()))
            }
        };
        Ok(Some(Earlier { folder, recipe, checkpoint }))
    }
}

/// Opens data, and a device where `gpu` is none, and builds the trainer of `job`; `opened` sees a device that it
/// opens before any kernel is compiled.
///
/// # Errors
/// Everything that can be wrong with a job, each naming what.
pub async fn start_trainer(job: &Job, gpu: Option<Arc<Gpu>>, opened: impl FnOnce(&Gpu)) -> Result<Prepared, JobError> {
    let earlier = Earlier::of(job)?;
    let recipe = settings(job, earlier.as_ref())?;
    let init = match &job.begin {
        Begin::Weights(path) => Some(Opened::open(path, &Hints::default())?),
        Begin::New | Begin::Resume | Begin::Snapshot(_) => None,
    };
    if let Some(model) = &init {
        // Told before any time is spent on pictures and kernels.
        check_init(model, &recipe)?;
    }
    let (source, split) = match &job.pictures {
        Some(source) => (source.clone(), data::split(source.as_ref())),
        None => data::open_for(&recipe.train.data, &recipe.train.held_out).map_err(|error| match earlier {
            Some(_) => TrainError::DataGone(error),
            None => error.into(),
        })?,
    };
    let gpu = match gpu {
        Some(gpu) => gpu,
        None => {
            let gpu = Gpu::open(&GpuOptions { adapter: job.adapter.clone(), ..GpuOptions::default() }).await?;
            opened(&gpu);
            gpu
        }
    };
    let estimate = estimate(&recipe, Caps::of(&gpu))?;
    let checkpoint = earlier.as_ref().and_then(|earlier| earlier.checkpoint.as_deref());
    let trainer = Trainer::new(gpu, recipe.clone(), source, &split, checkpoint).await;
    let trainer = trainer.map_err(|error| error.sized(&recipe, &estimate))?;
    let estimate = trainer.estimate();
    log::info!("estimated memory: {estimate}");
    if let Some(model) = init {
        take_up(&trainer, model)?;
    }
    // The last place to give up without a trace.
    platform::pause().await;
    let folder = folder(job, earlier, &trainer).await?;
    Ok(Prepared { trainer, folder, estimate })
}

/// The settings of the run of `job`, which may go on with an `earlier` one.
fn settings(job: &Job, earlier: Option<&Earlier>) -> Result<Recipe, TrainError> {
    let mut wanted = job.recipe.clone();
    if job.pictures.is_none() {
        // A run may go on from another working folder.
        for specs in [&mut wanted.train.data, &mut wanted.train.held_out] {
            *specs = specs.iter().map(|spec| data::absolute(spec)).collect();
        }
    }
    let recipe = match earlier {
        Some(earlier) => earlier.recipe.resumed(&wanted)?,
        None => wanted,
    };
    recipe.check()?;
    Ok(recipe)
}

/// Puts the weights of `model` in place of those that `trainer` began with.
fn take_up(trainer: &Trainer, model: Opened) -> Result<(), TrainError> {
    let model = model.at_size(trainer.recipe().model.image_size)?;
    let whole = model.weights.has_decoder();
    if !whole {
        log::warn!("{} holds an encoder alone: the decoder starts from random weights", model.weights.path());
    }
    let wanted = |name: &str| whole || name.starts_with("vit.");
    trainer.store().load_where(trainer.gpu(), State::Weights, &model.weights, wanted)?;
    trainer.store().begin_average(trainer.gpu());
    Ok(())
}

/// The folder of the run of `job`, if it is to have one: made, or opened where an `earlier` run has it.
async fn folder(job: &Job, earlier: Option<Earlier>, trainer: &Trainer) -> Result<Option<RunFolder>, TrainError> {
    let recipe = trainer.recipe();
    let mut folder = match (earlier.and_then(|earlier| earlier.folder), &job.out, &job.begin) {
        (Some(run), ..) => run.open()?,
        (None, None, _) => return Ok(None),
        (None, Some(out), Begin::Snapshot(snapshot)) => RunFolder::create_from(out, snapshot)?,
        // Its settings do not tell from which weights such a run began.
        (None, Some(out), Begin::Weights(_)) => RunFolder::create_from(out, &trainer.checkpoint().await?)?,
        (None, Some(out), Begin::New | Begin::Resume) => RunFolder::create(out, recipe)?,
    };
    folder.set_recipe(recipe)?;
    folder.compare_at(recipe.model.mask_ratio, trainer.measured_set())?;
    Ok(Some(folder))
}

/// Fails where the weights of `model` are for another one than that of `recipe`; every tensor is looked at when it is
/// loaded.
fn check_init(model: &Opened, recipe: &Recipe) -> Result<(), TrainError> {
    let (made, asked, path) = (&model.config, &recipe.model, model.weights.path());
    let decoder = model.weights.has_decoder();
    let encoder = [
        ("patch_size", made.patch_size, asked.patch_size),
        ("width", made.width, asked.width),
        ("depth", made.depth, asked.depth),
        ("heads", made.heads, asked.heads),
        ("mlp", made.mlp_width(), asked.mlp_width()),
    ];
    let of_decoder = [
        ("decoder_width", made.decoder_width, asked.decoder_width),
        ("decoder_depth", made.decoder_depth, asked.decoder_depth),
        ("decoder_heads", made.decoder_heads, asked.decoder_heads),
        ("decoder_mlp", made.decoder_mlp_width(), asked.decoder_mlp_width()),
    ];
    let fields = encoder.into_iter().chain(of_decoder.into_iter().filter(|_| decoder));
    let differing: Vec<_> = fields.filter(|(_, made, asked)| made != asked).collect();
    if !differing.is_empty() {
        let listed = |value: fn(&(&str, usize, usize)) -> usize| -> String {
            let settings = differing.iter().map(|field| format!("{} = {}", field.0, value(field)));
            settings.collect::<Vec<_>>().join(", ")
        };
        let (made, asked) = (listed(|field| field.1), listed(|field| field.2));
        let reason = format!("was made with {made}; expected {asked}, as the recipe \"{}\" has it", recipe.name);
        return Err(WeightsError::Layout { path: path.to_owned(), reason }.into());
    }
    if made.layer_norm_eps != asked.layer_norm_eps {
        let (made, asked) = (made.layer_norm_eps, asked.layer_norm_eps);
        log::warn!("{path} was made with layer_norm_eps = {made:e}, and is trained on with {asked:e} of the recipe");
    }
    let [pixels, wanted] = [made, asked].map(|config| (config.pixel_mean, config.pixel_std));
    if pixels != wanted {
        let ((mean, std), (new_mean, new_std)) = (pixels, wanted);
        log::warn!(
            "{path} was made with pixels of mean {mean:?} and deviation {std:?}, and is trained on with {new_mean:?} and \
             {new_std:?} of the recipe (--mean, --std)"
        );
    }
    if decoder && made.norm_pix_loss != asked.norm_pix_loss {
        let [made, asked] = [made, asked].map(|config| if config.norm_pix_loss { "normalised" } else { "raw" });
        log::warn!("{path} predicts {made} patches, and is trained on to predict {asked} ones, as the recipe has it");
    }
    Ok(())
}
