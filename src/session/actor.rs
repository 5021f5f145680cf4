//! The loop of a session, on a thread of its own or on the tab's event loop.

use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};

use super::job::{Job, JobError, Prepared, start_trainer};
use super::message::{Command, Event, Started};
use crate::platform;
use crate::train::{MetricsLine, RunFolder, StepMetrics, TrainError, Trainer};

/// Longest time between reports, seconds.
const REPORT_EVERY: f64 = 0.25;
/// How long a paused session waits before it looks for commands again, seconds.
const PAUSE: f64 = 0.02;

/// A running session.
#[derive(Debug)]
pub struct Session {
    commands: Sender<Command>,
    events: Receiver<Event>,
}

impl Session {
    /// Starts `job`; everything that happens comes as events.
    ///
    /// # Errors
    /// [`JobError::Thread`] where the system gives no thread.
    pub fn start(job: Job) -> Result<Session, JobError> {
        let (commands, command_receiver) = mpsc::channel();
        let (event_sender, events) = mpsc::channel();
        platform::spawn(move || async move {
            let mut actor = Actor { commands: command_receiver, events: event_sender, paused: false, steps_allowed: 0 };
            if let Err(error) = actor.run(&job).await {
                actor.emit(Event::Failed(error));
            }
        })
        .map_err(JobError::Thread)?;
        Ok(Session { commands, events })
    }

    /// Sends a command; false if the session has ended.
    pub fn send(&self, command: Command) -> bool {
        self.commands.send(command).is_ok()
    }

    /// A sender of commands for another thread.
    pub fn commands(&self) -> Sender<Command> {
        self.commands.clone()
    }

    /// The next event, waiting for it; `None` when the session has ended.
    pub fn wait(&self) -> Option<Event> {
        self.events.recv().ok()
    }

    /// The next event if there is one already.
    pub fn poll(&self) -> Option<Event> {
        self.events.try_recv().ok()
    }
}

struct Actor {
    commands: Receiver<Command>,
    events: Sender<Event>,
    paused: bool,
    steps_allowed: u64,
}

/// What a session does between steps.
struct Progress {
    last_report: f64,
    last_held_out: Option<f64>,
    measured_at: Option<u64>,
    saved_at: Option<u64>,
    stop: bool,
}

impl Actor {
    fn emit(&self, event: Event) {
        // Nobody listens any more: the session goes on to its end all the same.
        let _ = self.events.send(event);
    }

    async fn run(&mut self, job: &Job) -> Result<(), JobError> {
        let Prepared { mut trainer, mut folder, estimate } = start_trainer(job).await?;
        let steps = trainer.recipe().train.steps;
        self.emit(Event::Started(Box::new(Started {
            adapter: trainer.gpu().summary(),
            estimate,
            pictures: trainer.feed().pictures(),
            held_out: trainer.held_out_pictures(),
            skipped: trainer.feed().skipped().len(),
            step: trainer.step(),
            steps,
            out: folder.as_ref().map(|folder| folder.path().to_owned()),
        })));
        let last = job.stop_after.map_or(steps, |count| steps.min(trainer.step() + count));
        let mut progress = Progress {
            last_report: platform::now_seconds(),
            last_held_out: None,
            measured_at: None,
            saved_at: None,
            stop: false,
        };
        if trainer.step() == 0 {
            self.measure(&trainer, &mut folder, &mut progress, true).await?;
        }
        while trainer.step() < last && !progress.stop {
            self.obey(&mut trainer, &mut folder, &mut progress).await?;
            if progress.stop {
                break;
            }
            if self.paused && self.steps_allowed == 0 {
                self.report(&mut trainer, &mut folder, &mut progress).await?;
                platform::sleep(PAUSE).await;
                continue;
            }
            self.steps_allowed = self.steps_allowed.saturating_sub(1);
            trainer.advance()?;
            let due = trainer.is_full() || platform::now_seconds() - progress.last_report >= REPORT_EVERY;
            // On a processor every submission is waited for: work would only pile up.
            if due || trainer.gpu().is_cpu() {
                self.report(&mut trainer, &mut folder, &mut progress).await?;
            }
            let step = trainer.step();
            let train = trainer.recipe().train.clone();
            let every = |interval: u64| interval > 0 && step.is_multiple_of(interval);
            if every(train.eval_every) || every(train.preview_every) {
                self.report(&mut trainer, &mut folder, &mut progress).await?;
                self.measure(&trainer, &mut folder, &mut progress, every(train.preview_every)).await?;
            }
            if every(train.checkpoint_every) {
                self.report(&mut trainer, &mut folder, &mut progress).await?;
                self.save(&trainer, &mut folder, &mut progress).await?;
            }
        }
        self.report(&mut trainer, &mut folder, &mut progress).await?;
        if trainer.step() == steps {
            self.measure(&trainer, &mut folder, &mut progress, true).await?;
        }
        self.save(&trainer, &mut folder, &mut progress).await?;
        self.emit(Event::Finished { step: trainer.step() });
        Ok(())
    }

    /// Takes up the commands that wait.
    async fn obey(
        &mut self,
        trainer: &mut Trainer,
        folder: &mut Option<RunFolder>,
        progress: &mut Progress,
    ) -> Result<(), JobError> {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Pause) => self.paused = true,
                Ok(Command::Resume) => self.paused = false,
                Ok(Command::Step) => self.steps_allowed += 1,
                Ok(Command::Stop) => progress.stop = true,
                Ok(Command::Save) => self.save(trainer, folder, progress).await?,
                Ok(Command::Measure) => {
                    self.report(trainer, folder, progress).await?;
                    self.measure(trainer, folder, progress, true).await?;
                }
                Ok(Command::SetMaskRatio(ratio)) => {
                    if let Err(error) = trainer.set_mask_ratio(ratio).await {
                        self.emit(Event::Warning(error.to_string()));
                    }
                }
                Ok(Command::SetBaseLearningRate(blr)) => {
                    if let Err(error) = trainer.set_base_learning_rate(blr) {
                        self.emit(Event::Warning(error.to_string()));
                    }
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return Ok(()),
            }
        }
    }

    /// Reads the metrics of submitted steps, logs and reports them.
    async fn report(
        &mut self,
        trainer: &mut Trainer,
        folder: &mut Option<RunFolder>,
        progress: &mut Progress,
    ) -> Result<(), JobError> {
        let metrics = match trainer.collect().await {
            Ok(metrics) => metrics,
            Err(TrainError::NotFinite { what, step, .. }) => {
                let checkpoint = match folder {
                    Some(folder) => {
                        format!(" and the last good checkpoint is in {}", folder.path().join("checkpoints").display())
                    }
                    None => String::new(),
                };
                return Err(TrainError::NotFinite { what, step, checkpoint }.into());
            }
            Err(error) => return Err(error.into()),
        };
        if metrics.is_empty() {
            return Ok(());
        }
        let now = platform::now_seconds();
        let images = metrics.len() * trainer.recipe().effective_batch();
        let speed = images as f64 / (now - progress.last_report).max(1e-9);
        progress.last_report = now;
        for StepMetrics { step, loss, lr, grad_norm } in metrics {
            let line = MetricsLine {
                step,
                loss: Some(loss),
                lr: Some(lr),
                grad_norm: Some(grad_norm),
                images_per_s: Some((speed * 10.0).round() / 10.0),
                held_out_loss: None,
            };
            if let Some(folder) = folder {
                folder.log(&line)?;
            }
            self.emit(Event::Step(line));
        }
        Ok(())
    }

    /// Measures held-out pictures and writes a preview where asked.
    async fn measure(
        &mut self,
        trainer: &Trainer,
        folder: &mut Option<RunFolder>,
        progress: &mut Progress,
        preview: bool,
    ) -> Result<(), JobError> {
        let step = trainer.step();
        let Some(result) = trainer.measure().await? else { return Ok(()) };
        let before = progress.measured_at.replace(step);
        progress.last_held_out = Some(result.loss);
        if before != Some(step) {
            if let Some(folder) = folder {
                folder.log(&MetricsLine { step, held_out_loss: Some(result.loss), ..MetricsLine::default() })?;
            }
            self.emit(Event::HeldOut { step, loss: result.loss });
        }
        if let (Some(folder), true) = (folder, preview) {
            let path = folder.preview(step, &result.strips, result.size)?;
            self.emit(Event::Preview(path));
        }
        // Measuring is no training time.
        progress.last_report = platform::now_seconds();
        Ok(())
    }

    /// Saves a checkpoint unless the same step is saved already.
    async fn save(
        &mut self,
        trainer: &Trainer,
        folder: &mut Option<RunFolder>,
        progress: &mut Progress,
    ) -> Result<(), JobError> {
        let Some(folder) = folder else { return Ok(()) };
        if progress.saved_at.replace(trainer.step()) == Some(trainer.step()) {
            return Ok(());
        }
        let checkpoint = trainer.checkpoint().await?;
        let measured = progress.last_held_out.filter(|_| progress.measured_at == Some(trainer.step()));
        let path = folder.save(&checkpoint, measured)?;
        self.emit(Event::Saved(path));
        Ok(())
    }
}
