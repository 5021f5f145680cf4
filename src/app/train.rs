//! The panel that trains a model and shows it learn.

mod form;
mod panel;
mod plots;
mod standing;
mod ticks;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::history::History;
use super::notices::Notices;
use super::settings::{self, TrainSettings};
use crate::data::{self, DataError, Source};
use crate::gpu::{AdapterRequest, Gpu};
use crate::platform;
use crate::session::{Command, Event, Job, JobError, Session, Started};
use crate::train::Recipe;
use crate::train::{Checkpoint, TrainError, find_runs};
use form::Form;
pub use standing::{Standing, free_folder};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

/// The run and what it reported.
pub struct Train {
    phase: Phase,
    form: Form,
    started: Option<Started>,
    recipe: Option<Recipe>,
    history: History,
    /// Other runs, to compare with.
    others: Vec<(String, History)>,
    /// Which probe is shown; none for the newest.
    scrubbed: Option<usize>,
    /// Where run folders are made.
    runs: PathBuf,
    /// Files to train on, where they are no folder.
    given: Option<Arc<dyn Source>>,
    /// What can go on.
    standing: Option<Standing>,
    /// A batch to try, where the last one did not fit.
    smaller: Option<usize>,
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
            smaller: None,
        }
    }
}

impl Train {
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

    /// Shows the losses of the runs in `folder` and below it beside those of this one.
    ///
    /// # Errors
    /// A folder without a run.
    pub fn compare(&mut self, folder: &Path) -> Result<(), TrainError> {
        let runs = find_runs(folder);
        if runs.is_empty() {
            let reason = "holds no run (recipe.toml is missing)".to_owned();
            return Err(TrainError::RunFolder { path: folder.display().to_string(), reason });
        }
        for run in runs {
            let name = run.path.file_name().unwrap_or(run.path.as_os_str()).to_string_lossy().into_owned();
            self.others.retain(|(other, _)| *other != name);
            self.others.push((name, History::of(run.lines)));
        }
        Ok(())
    }

    /// A few words for the top bar while something runs; `gpu` may still be compiling kernels for it.
    pub fn status(&self, gpu: &Gpu) -> Option<String> {
        let steps = self.started.as_ref().map_or(0, |started| started.steps);
        match self.phase {
            Phase::Idle => None,
            Phase::Starting => Some(match gpu.compiling() {
                Some((done, wanted)) => format!("compiling kernels, {done} of {wanted}"),
                None => "preparing…".to_owned(),
            }),
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
                    "training on {} pictures, {} held out, {} estimated",
                    started.pictures, started.held_out, started.estimate
                );
                if started.skipped > 0 {
                    text += &format!("; {} files could not be read", started.skipped);
                }
                notices.note(text);
                // The run may go on from an earlier step than it was thought to stand at.
                self.history.rewind(started.step);
                self.phase = Phase::Running;
                self.started = Some(*started);
            }
            Event::Step(line) => self.history.push(line),
            Event::HeldOut { step, loss } => {
                self.history.push_held_out(step, loss);
                notices.note(format!("step {step}: held-out loss {loss:.4}"));
            }
            Event::Probe { step, texture } => self.history.push_probe(step, texture),
            Event::Snapshot(snapshot) => {
                let out = self.started.as_ref().and_then(|started| started.out.clone());
                self.standing = Some(Standing::of(snapshot, out));
            }
            Event::Paused(paused) => self.phase = if paused { Phase::Paused } else { Phase::Running },
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
        self.stand_by_folder();
    }

    /// Takes up the newest checkpoint of the run's folder where no snapshot is as new: those of large models are not
    /// made.
    fn stand_by_folder(&mut self) {
        let Some(out) = self.started.as_ref().and_then(|started| started.out.as_deref()) else { return };
        if let Ok((saved, _)) = Standing::in_folder(out)
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

    /// Takes up a run from a snapshot of it.
    pub fn stand(&mut self, snapshot: Arc<Checkpoint>, settings: &mut TrainSettings) {
        settings.set_recipe(snapshot.recipe.clone());
        self.history = History::default();
        self.history.last.step = snapshot.step;
        self.standing = Some(Standing::of(snapshot, None));
    }

    /// Takes up the run in `folder`.
    ///
    /// # Errors
    /// A folder that holds no run.
    pub fn stand_in(&mut self, folder: &Path, settings: &mut TrainSettings) -> Result<(), TrainError> {
        let (standing, history) = Standing::in_folder(folder)?;
        settings.set_recipe(standing.recipe.clone());
        self.history = history;
        self.standing = Some(standing);
        Ok(())
    }

    /// The device is gone, and what ran on it stands at its last snapshot or checkpoint. What there is to say where
    /// it had none.
    pub fn lost(&mut self) -> Option<String> {
        let (ran, step) = (self.phase != Phase::Idle, self.step());
        self.ended();
        self.scrubbed = None;
        self.started = None;
        self.history.rewind(self.standing.as_ref().map_or(0, |standing| standing.step));
        (ran && self.standing.is_none())
            .then(|| format!("the run in training went with the device at step {step}: no copy of its state was made"))
    }

    /// Trains on `files`, names and bytes of pictures and of containers of pictures.
    ///
    /// # Errors
    /// What is wrong with a container.
    pub fn give(&mut self, files: Vec<(String, Vec<u8>)>, settings: &mut TrainSettings) -> Result<(), DataError> {
        self.given = Some(data::open_given(files)?);
        settings.set_given();
        Ok(())
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
        let out = platform::HAS_FOLDERS.then(|| free_folder(&self.runs, &recipe.name));
        let ask = self.send(recipe, out, None, false, session);
        if ask.is_none() {
            self.history = History::default();
            self.standing = None;
        }
        ask
    }

    /// Goes on with what stands; more steps than its recipe has are taken from `settings`.
    pub fn go_on(&mut self, settings: &TrainSettings, session: &Session) -> Option<Ask> {
        let standing = self.standing.clone()?;
        let mut recipe = standing.recipe;
        recipe.train.steps = recipe.train.steps.max(settings.recipe.train.steps);
        self.history.rewind(standing.step);
        let resume = standing.snapshot.is_none();
        self.send(recipe, standing.out, standing.snapshot, resume, session)
    }

    fn send(
        &mut self,
        recipe: Recipe,
        out: Option<PathBuf>,
        snapshot: Option<Arc<Checkpoint>>,
        resume: bool,
        session: &Session,
    ) -> Option<Ask> {
        let pictures = match (settings::is_given(&recipe), &self.given) {
            (false, _) => None,
            (true, Some(given)) => Some(given.clone()),
            // They were not kept with the run.
            (true, None) => return Some(Ask::Pictures),
        };
        self.scrubbed = None;
        self.started = None;
        self.smaller = None;
        self.recipe = Some(recipe.clone());
        self.phase = Phase::Starting;
        session.send(Command::Train(Box::new(Job {
            pictures,
            recipe,
            out,
            resume,
            snapshot,
            init: None,
            adapter: AdapterRequest::default(),
            stop_after: None,
        })));
        None
    }
}
