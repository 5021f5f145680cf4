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

/// A training job.
#[derive(Clone)]
pub struct Job {
    /// Pictures instead of those that the recipe names, as dropped onto a window.
    pub pictures: Option<Arc<dyn data::Source>>,
    /// Settings; for a run that goes on those of its folder or snapshot, but for what may change, see
    /// [`Recipe::resumed`]; its steps are never fewer.
    pub recipe: Recipe,
    /// Folder to write; none writes nothing.
    pub out: Option<PathBuf>,
    /// Go on with the run in `out`.
    pub resume: bool,
    /// Go on from here, with or without a folder: a snapshot of a run, instead of the folder's own checkpoints.
    pub snapshot: Option<Arc<Checkpoint>>,
    /// Weights to start from.
    pub init: Option<PathBuf>,
    /// Which adapter, where the session opens a device of its own.
    pub adapter: AdapterRequest,
    /// Stop after this many steps of this session, saved, as if asked to.
    pub stop_after: Option<u64>,
}

impl Job {
    /// A run of `recipe` from its first step to its last, which writes nothing.
    pub fn new(recipe: Recipe) -> Job {
        Job {
            pictures: None,
            recipe,
            out: None,
            resume: false,
            snapshot: None,
            init: None,
            adapter: AdapterRequest::default(),
            stop_after: None,
        }
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

/// Opens data, and a device where `gpu` is none, and builds the trainer of `job`; `opened` sees a device that it
/// opens before any kernel is compiled.
///
/// # Errors
/// Everything that can be wrong with a job, each naming what.
pub async fn start_trainer(job: &Job, gpu: Option<Arc<Gpu>>, opened: impl FnOnce(&Gpu)) -> Result<Prepared, JobError> {
    if let (Some(out), false, None) = (&job.out, job.resume, &job.snapshot) {
        // Said before any time is spent on pictures and kernels.
        RunFolder::check_free(out)?;
    }
    let resumed = match (&job.out, job.resume) {
        (Some(out), _) if let Some(snapshot) = &job.snapshot => {
            // One that is new is made once nothing can go wrong any more.
            let folder = match RunFolder::is_run(out) {
                true => Some(RunFolder::lock_at(out, snapshot.step)?),
                false => {
                    RunFolder::check_writable(out)?;
                    None
                }
            };
            Some((folder, snapshot.recipe.clone(), Some(snapshot.clone())))
        }
        (None, _) if let Some(snapshot) = &job.snapshot => {
            Some((None, snapshot.recipe.clone(), Some(snapshot.clone())))
        }
        (Some(out), true) => {
            let (folder, recipe, checkpoint) = RunFolder::lock(out)?;
            Some((Some(folder), recipe, checkpoint.map(Arc::new)))
        }
        (None, true) => {
            let reason = "a run is to go on, but not told where it lies".to_owned();
            return Err(TrainError::RunFolder { path: "(none)".to_owned(), reason }.into());
        }
        (_, false) => None,
    };
    let mut wanted = job.recipe.clone();
    if job.pictures.is_none() {
        // A run may go on from another working folder.
        for specs in [&mut wanted.train.data, &mut wanted.train.held_out] {
            *specs = specs.iter().map(|spec| data::absolute(spec)).collect();
        }
    }
    let recipe = match &resumed {
        Some((_, run, _)) => run.resumed(&wanted)?,
        None => wanted,
    };
    recipe.check()?;
    let init = job.init.as_deref().map(|path| Opened::open(path, &Hints::default())).transpose()?;
    let init = init.filter(|_| !matches!(resumed, Some((_, _, Some(_)))));
    if let Some(model) = &init {
        // Told before any time is spent on pictures and kernels.
        check_init(model, &recipe)?;
    }
    let (source, split) = match &job.pictures {
        Some(source) => (source.clone(), data::split(source.as_ref())),
        None => data::open_for(&recipe.train.data, &recipe.train.held_out).map_err(|error| match resumed {
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
    let checkpoint = resumed.as_ref().and_then(|(_, _, checkpoint)| checkpoint.as_deref());
    let trainer = Trainer::new(gpu, recipe.clone(), source, &split, checkpoint).await;
    let trainer = trainer.map_err(|error| error.sized(&recipe, &estimate))?;
    let estimate = trainer.estimate();
    log::info!("estimated memory: {estimate}");
    let given = init.is_some();
    if let Some(model) = init {
        let model = model.at_size(recipe.model.image_size)?;
        let whole = model.weights.has_decoder();
        if !whole {
            log::warn!("{} holds an encoder alone: the decoder starts from random weights", model.weights.path());
        }
        let wanted = |name: &str| whole || name.starts_with("vit.");
        trainer.store().load_where(trainer.gpu(), State::Weights, &model.weights, wanted).map_err(TrainError::from)?;
        trainer.store().begin_average(trainer.gpu());
    }
    // The last place to give up without a trace.
    platform::pause().await;
    let mut folder = match (resumed, &job.out) {
        (Some((None, _, Some(snapshot))), Some(out)) => Some(RunFolder::create_from(out, &snapshot)?),
        (Some((folder, ..)), _) => folder.map(LockedRun::open).transpose()?,
        // Its settings do not tell from which weights such a run began.
        (None, Some(out)) if given => Some(RunFolder::create_from(out, &trainer.checkpoint().await?)?),
        (None, Some(out)) => Some(RunFolder::create(out, &recipe)?),
        (None, None) => None,
    };
    if let Some(folder) = &mut folder {
        folder.set_recipe(&recipe)?;
        folder.compare_at(recipe.model.mask_ratio, trainer.measured_set())?;
    }
    Ok(Prepared { trainer, folder, estimate })
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
