//! The panel that trains a model and shows it learn.

mod compared;
mod form;
mod panel;
mod place;
mod plots;
mod standing;
mod ticks;

use std::path::PathBuf;
use std::sync::Arc;

use super::explore::Trained;
use super::history::History;
use super::notices::Notices;
use super::settings::{self, TrainSettings};
use crate::data::{self, DataError, Source};
use crate::gpu::Gpu;
use crate::platform;
use crate::session::{Begin, Command, Event, Job, JobError, Session, Started, WeightsFrom};
use crate::train::{Checkpoint, Recipe, RunFolder, RunSummary, TrainError};
use compared::Compared;
use form::Form;
use place::free_folder;
pub use standing::Standing;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Nothing runs.
    Idle,
    /// Data are decoded and memory is laid out.
    Starting,
    /// Steps are made.
    Running,
    /// It waits to be resumed.
    Paused,
    /// The last step is finished and saved.
    Stopping,
}

/// What the panel asks of the app around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A folder of pictures to train on.
    Folder,
    /// Picture files to train on.
    Pictures,
    /// The folder of a run to go on with.
    Run,
    /// The folder of a run to compare with.
    Compare,
    /// A file to save the run to.
    Save,
    /// To tell why training was not begun.
    Trouble(String),
}

/// The run and what it reported.
pub struct Train {
    phase: Phase,
    form: Form,
    started: Option<Started>,
    recipe: Option<Recipe>,
    history: History,
    /// Other runs, to compare with.
    others: Vec<Compared>,
    /// The step of the probe that is shown; none for the newest.
    scrubbed: Option<u64>,
    /// Where run folders are made.
    runs: PathBuf,
    /// Files to train on, where they are no folder.
    given: Option<Arc<dyn Source>>,
    /// What can go on.
    standing: Option<Standing>,
    /// What stood before the run that is being prepared, and its curves: that can go on should this one not begin.
    before: Option<(Option<Standing>, History)>,
    /// Weights of a run that ended and whose state was too large to be copied.
    weights: Option<Arc<Checkpoint>>,
    /// A batch to try, where the last one did not fit.
    smaller: Option<usize>,
    /// The step at which what ran stood when the device was lost, and at which it goes on by itself.
    comes_back: Option<u64>,
    /// The step at which a run stood when the device was lost the last time.
    lost_at: Option<u64>,
}

impl Default for Train {
    fn default() -> Train {
        Train {
            phase: Phase::Idle,
            form: Form::default(),
            started: None,
            recipe: None,
            history: History::default(),
            others: Vec::new(),
            scrubbed: None,
            runs: PathBuf::from("runs"),
            given: None,
            standing: None,
            before: None,
            weights: None,
            smaller: None,
            comes_back: None,
            lost_at: None,
        }
    }
}

impl Train {
    /// A panel whose runs go where they can be written.
    pub(super) fn in_place() -> Train {
        Train { runs: place::of_runs(), ..Train::default() }
    }

    /// Makes run folders in `runs`.
    pub fn set_runs(&mut self, runs: PathBuf) {
        self.runs = runs;
    }

    /// Where the run stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.history.last.step
    }

    /// What was reported.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Shows the losses of `runs` beside those of this one.
    pub fn compare(&mut self, runs: Vec<RunSummary>) {
        compared::add(&mut self.others, runs);
    }

    /// The runs that are compared with, by the names that tell them apart.
    pub fn compared(&self) -> Vec<&str> {
        self.others.iter().map(|other| other.name.as_str()).collect()
    }

    /// A few words for the top bar while something runs; `gpu` may still be compiling kernels for it.
    pub fn status(&self, gpu: &Gpu) -> Option<String> {
        let steps = self.started.as_ref().map_or(0, |started| started.steps);
        match self.phase {
            Phase::Idle => None,
            Phase::Starting => Some(match gpu.compiling().state() {
                Some((done, wanted)) => format!("compiling kernels, {done} of {wanted}"),
                None => "preparing…".to_owned(),
            }),
            Phase::Running if self.step() == 0 && self.history.is_empty() => {
                Some("measuring the new model…".to_owned())
            }
            Phase::Running => Some(format!("training {} / {steps}", self.step())),
            Phase::Paused => Some(format!("paused at {}", self.step())),
            Phase::Stopping => Some("saving…".to_owned()),
        }
    }

    /// Takes up what the session reports of training.
    pub fn take(&mut self, event: Event, notices: &mut Notices) {
        match event {
            Event::Started(started) => {
                let mut text = format!(
                    "training on {} pictures, {} held out, {} of them measured, {} estimated",
                    started.pictures, started.held_out, started.measured, started.estimate
                );
                if !started.skipped.is_empty() {
                    text += &format!(
                        "; {} files could not be read: {}",
                        started.skipped.len(),
                        data::few(&started.skipped, started.skipped.len())
                    );
                }
                match started.skipped.is_empty() {
                    true => notices.note(text),
                    false => notices.tell(text),
                }
                (self.before, self.weights) = (None, None);
                // The run may go on from an earlier step than it was thought to stand at.
                self.history.rewind(started.step);
                self.phase = Phase::Running;
                self.started = Some(*started);
            }
            Event::Step(line) => self.history.push(line),
            Event::HeldOut { step, loss } => self.history.push_held_out(step, loss),
            Event::Probe { step, texture } => self.history.push_probe(step, texture),
            Event::Snapshot(snapshot) => {
                let out = self.started.as_ref().and_then(|started| started.out.clone());
                self.standing = Some(Standing::of(snapshot, out));
            }
            // A run that ends stays that way, paused or not.
            Event::Weights(weights) => self.weights = Some(weights),
            Event::Paused(_) if self.phase == Phase::Stopping => {}
            Event::Paused(paused) => self.phase = if paused { Phase::Paused } else { Phase::Running },
            Event::Unsaved => self.phase = Phase::Paused,
            Event::Saved(path) | Event::Preview(path) => notices.note(format!("wrote {}", path.display())),
            Event::Cancelled => {
                notices.note("training was cancelled before it began");
                self.ended();
            }
            Event::Finished { step, .. } => {
                notices.note(format!("training ended after {step} steps"));
                self.ended();
            }
            _ => {}
        }
    }

    /// The run is over.
    pub fn ended(&mut self) {
        self.phase = Phase::Idle;
        if let Some((standing, history)) = self.before.take() {
            self.recipe = standing.as_ref().map(|standing| standing.recipe.clone()).or(self.recipe.take());
            (self.standing, self.history) = (standing, history);
        }
        self.stand_by_folder();
    }

    /// Takes up the newest checkpoint of the run's folder where no snapshot is as new: those of large models are not
    /// made.
    fn stand_by_folder(&mut self) {
        let Some(out) = self.started.as_ref().and_then(|started| started.out.as_deref()) else { return };
        if let Ok(saved) = Standing::at(out)
            && self.standing.as_ref().is_none_or(|standing| standing.step < saved.step)
        {
            self.standing = Some(saved);
        }
    }

    /// The run ended with `error`.
    pub fn failed(&mut self, error: &JobError) {
        self.ended();
        if let (JobError::Train(TrainError::DoesNotFit { batch, .. }), true) = (error, self.recipe.is_some()) {
            self.smaller = Some(batch / 2).filter(|batch| *batch > 0);
        }
    }

    /// What can go on, if nothing runs.
    pub fn standing(&self) -> Option<&Standing> {
        self.standing.as_ref().filter(|_| self.phase == Phase::Idle)
    }

    /// The newest copy of the run's state.
    pub fn snapshot(&self) -> Option<&Arc<Checkpoint>> {
        self.standing.as_ref().and_then(|standing| standing.snapshot.as_ref())
    }

    /// Takes note of the share of hidden patches that is in force.
    pub fn set_mask_ratio(&mut self, ratio: f64) {
        if let Some(recipe) = &mut self.recipe {
            recipe.model.mask_ratio = ratio;
        }
    }

    /// What there is of a model in training.
    pub fn trained(&self) -> Trained {
        match self.phase {
            Phase::Running | Phase::Paused | Phase::Stopping => Trained::Learns,
            Phase::Idle if self.standing.is_some() || self.weights.is_some() => Trained::Stands,
            Phase::Idle | Phase::Starting => Trained::Nothing,
        }
    }

    /// The weights of the run that stands.
    ///
    /// # Errors
    /// A run without a checkpoint.
    pub fn last_run(&self) -> Result<WeightsFrom, TrainError> {
        let nothing = |path: String| TrainError::RunFolder { path, reason: "has no checkpoint yet".to_owned() };
        match (self.savable(), self.standing.as_ref().and_then(|standing| standing.out.as_ref())) {
            (Some(saved), _) => Ok(WeightsFrom::Checkpoint(saved.clone())),
            (None, Some(out)) => match standing::newest(out) {
                Some(file) => Ok(WeightsFrom::Path(file)),
                None => Err(nothing(out.display().to_string())),
            },
            (None, None) => Err(nothing("the last run".to_owned())),
        }
    }

    /// What can be saved to a file: the newest copy of the run's state, else its weights.
    pub fn savable(&self) -> Option<&Arc<Checkpoint>> {
        self.snapshot().or(self.weights.as_ref())
    }

    /// The device is gone, and what ran on it stands at its last snapshot or checkpoint. What there is to say where
    /// it had none.
    pub fn lost(&mut self) -> Option<String> {
        let (ran, step) = (self.phase != Phase::Idle, self.step());
        let runs = self.phase == Phase::Running;
        self.ended();
        let stands = self.standing.as_ref().map(|standing| standing.step);
        // What is lost again before anything more was saved would be for ever.
        self.comes_back = stands.filter(|_| runs && stands != self.lost_at);
        self.lost_at = stands;
        self.scrubbed = None;
        self.started = None;
        self.history.rewind(self.standing.as_ref().map_or(0, |standing| standing.step));
        self.history.forget_probes();
        (ran && self.standing.is_none()).then(|| {
            format!("the run in training was lost with the device at step {step}: no copy of its state existed yet")
        })
    }

    /// Goes on, as it was set, with a run that the loss of the device interrupted; the step at which it does.
    pub fn come_back(&mut self, session: &Session) -> Option<u64> {
        let step = self.comes_back.take()?;
        let recipe = self.standing()?.recipe.clone();
        let asked = self.go_on(&TrainSettings { recipe, folder: None }, session);
        (asked.is_none() && self.phase == Phase::Starting).then_some(step)
    }

    /// Trains on `files`, names and bytes of pictures and of containers of pictures.
    ///
    /// # Errors
    /// What is wrong with a container.
    pub fn give(&mut self, files: Vec<(String, Vec<u8>)>, settings: &mut TrainSettings) -> Result<(), DataError> {
        self.give_source(data::open_given(files)?, settings);
        Ok(())
    }

    /// Trains on `pictures`.
    pub fn give_source(&mut self, pictures: Arc<dyn Source>, settings: &mut TrainSettings) {
        self.given = Some(pictures);
        settings.set_given();
    }

    /// How many files there are to train on, where they are no folder.
    pub fn given(&self) -> usize {
        self.given.as_ref().map_or(0, |given| given.len())
    }

    /// Pictures that the latest run trains on.
    pub fn pictures(&self) -> Option<usize> {
        self.started.as_ref().map(|started| started.pictures)
    }

    /// Pauses what runs, and goes on with what is paused.
    pub fn toggle(&mut self, session: &Session) {
        match self.phase {
            Phase::Running => session.send(Command::Pause),
            Phase::Paused => session.send(Command::Resume),
            _ => false,
        };
    }

    /// Begins a run.
    pub fn start(&mut self, settings: &TrainSettings, session: &Session) -> Option<Ask> {
        let recipe = settings.recipe.clone();
        let out = platform::HAS_FOLDERS.then(|| free_folder(&self.runs, &recipe.short_name()));
        let ask = self.send(recipe, out, Begin::New, session);
        if ask.is_none() {
            self.lost_at = None;
            self.before = Some((self.standing.take(), std::mem::take(&mut self.history)));
            platform::leave_kept();
        }
        ask
    }

    /// The step at which a run stands that is not at its end, and what it goes on with where `settings` are asked for,
    /// or which of them it cannot take up.
    fn resumed(&self, settings: &TrainSettings) -> Option<(u64, Result<Recipe, TrainError>)> {
        let standing = self.standing()?;
        let steps = standing.recipe.train.steps.max(settings.recipe.train.steps);
        (standing.step < steps).then(|| (standing.step, standing.recipe.resumed(&settings.recipe)))
    }

    /// The step at which a run stands that is not at its end.
    fn resumable(&self) -> Option<u64> {
        self.standing().filter(|standing| standing.step < standing.recipe.train.steps).map(|standing| standing.step)
    }

    /// Sets `settings` as the run that stands has them.
    fn restore(&self, settings: &mut TrainSettings) {
        if let Some(standing) = &self.standing {
            settings.set_recipe(standing.recipe.clone());
        }
    }

    /// Goes on with what stands as `settings` say, in a folder of its own where it has none.
    pub fn go_on(&mut self, settings: &TrainSettings, session: &Session) -> Option<Ask> {
        let (step, recipe) = self.resumed(settings)?;
        let (recipe, standing) = (recipe.ok()?, self.standing.clone()?);
        if settings::is_given(&recipe) && self.given.is_none() {
            let text = "The pictures of this run were not kept with it. Give it the same folder or files again, then press \
                        Continue";
            return Some(Ask::Trouble(text.to_owned()));
        }
        let folder = || platform::HAS_FOLDERS.then(|| free_folder(&self.runs, &recipe.short_name()));
        let out = standing.out.or_else(folder);
        let begin = standing.snapshot.map_or(Begin::Resume, Begin::Snapshot);
        let ask = self.send(recipe, out, begin, session);
        if ask.is_none() {
            self.history.rewind(step);
        }
        ask
    }

    fn send(&mut self, recipe: Recipe, out: Option<PathBuf>, begin: Begin, session: &Session) -> Option<Ask> {
        let pictures = match (settings::is_given(&recipe), &self.given) {
            (false, _) => None,
            (true, Some(given)) => Some(given.clone()),
            // They were not kept with the run.
            (true, None) => return Some(Ask::Pictures),
        };
        if let Some(Err(error)) = out.as_deref().map(RunFolder::check_writable) {
            return Some(Ask::Trouble(error.to_string()));
        }
        self.scrubbed = None;
        self.started = None;
        self.smaller = None;
        self.recipe = Some(recipe.clone());
        self.phase = Phase::Starting;
        session.send(Command::Train(Box::new(Job { pictures, out, begin, ..Job::new(recipe) })));
        None
    }
}
