//! The part of a session that trains: steps, reports, measurements, checkpoints.

mod copies;
mod judged;
mod remarks;
mod saving;

use std::sync::Arc;

use self::copies::Copies;
use self::judged::Judged;
use self::remarks::Unreadable;
use super::job::{Job, JobError, Prepared, start_trainer};
use super::keeping::{not_kept, offers_weights};
use super::message::{Command, Event, Started};
use super::outbox::Outbox;
use crate::gpu::{Gpu, Pace};
use crate::platform::{self, Awake};
use crate::train::{
    Checkpoint, HeldOut, MetricsLine, RunFolder, StepMetrics, TrainError, Trainer, comparable, read_metrics,
};

/// Longest time between reports, seconds.
const REPORT_EVERY: f64 = 0.25;
/// Shortest time between probes, seconds.
const PROBE_EVERY: f64 = 1.0;
/// Most of the time that probes may take.
const PROBE_SHARE: f64 = 0.1;
/// Largest state that is saved again for the loss that was measured after it was saved, bytes.
const SAVED_TWICE: u64 = 1 << 30;
/// Longest time without a checkpoint, seconds, however many steps there are from one to the next.
const MOST_UNSAVED: f64 = 1800.0;
/// Events that may wait for whoever watches before pictures are left out.
const MOST_WAITING: usize = 100;

/// Pictures rebuilt while the model learns.
struct Probes {
    pictures: HeldOut,
    last: f64,
    took: f64,
    step: Option<u64>,
}

/// A run in progress.
pub struct Training {
    trainer: Trainer,
    folder: Option<RunFolder>,
    probes: Option<Probes>,
    last: u64,
    paused: bool,
    steps_allowed: u64,
    stopping: bool,
    /// Held while it learns.
    awake: Option<Awake>,
    /// Whether somebody watches who can do something about it where nothing can be written.
    watched: bool,
    /// Nothing could be saved, and it waits for whoever watches.
    unsaved: bool,
    /// Who watches was told that stopping gives up what cannot be saved, and stopped it.
    gives_up: bool,
    /// The folder took no line of metrics, or no settings, the last time: that is told once.
    unlogged: bool,
    unreadable: Unreadable,
    /// When it began, later by all the time that it was paused; and since when it is.
    started_at: f64,
    paused_at: Option<f64>,
    last_report: f64,
    judged: Judged,
    /// The folder's recipe is not yet what the user changed.
    recipe_changed: bool,
    saved_at: Option<u64>,
    /// When a checkpoint was last written, or paused for want of room; at first, when the run began.
    written_at: f64,
    copies: Copies,
}

/// How a piece of work left a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// In the middle of a step.
    Slice,
    /// A step further.
    Step,
    /// Waiting to be resumed.
    Paused,
    /// At its end, saved.
    Done,
}

impl Training {
    /// Prepares `job`, on `gpu` where one is open already.
    pub async fn prepare(
        job: &Job,
        gpu: Option<Arc<Gpu>>,
        snapshot_every: Option<f64>,
        outbox: &Outbox,
    ) -> Result<Training, JobError> {
        let watched = gpu.is_some();
        let opened = |gpu: &Gpu| outbox.send(Event::Opened(gpu.compiling()));
        let Prepared { trainer, folder, estimate } = start_trainer(job, gpu, opened).await?;
        let steps = trainer.recipe().train.steps;
        outbox.send(Event::Started(Box::new(Started {
            adapter: trainer.gpu().summary(),
            estimate,
            pictures: trainer.feed().pictures().count,
            held_out: trainer.held_out(),
            measured: trainer.measured(),
            skipped: trainer.skipped().to_vec(),
            step: trainer.step(),
            steps,
            batch: trainer.recipe().effective_batch(),
            out: folder.as_ref().map(|folder| folder.path().to_owned()),
        })));
        remarks::at_start(&trainer).into_iter().for_each(|text| outbox.send(Event::Warning(text)));
        if platform::KEEPS && folder.is_none() {
            platform::run_began();
            if let Some(text) = not_kept(state_bytes(&trainer)) {
                outbox.send(Event::Warning(text));
            }
        }
        Ok(Training {
            last: job.stop_after.map_or(steps, |count| steps.min(trainer.step().saturating_add(count))),
            trainer,
            folder,
            probes: None,
            paused: false,
            steps_allowed: 0,
            stopping: false,
            awake: None,
            watched,
            unsaved: false,
            gives_up: false,
            unlogged: false,
            unreadable: Unreadable::default(),
            started_at: platform::now_seconds(),
            paused_at: None,
            last_report: platform::now_seconds(),
            judged: Judged::default(),
            recipe_changed: false,
            saved_at: None,
            written_at: platform::now_seconds(),
            copies: Copies::new(snapshot_every),
        })
    }

    /// Measures the untrained model, and shows what it makes of pictures to whoever watches.
    pub async fn begin(&mut self, pace: &mut Pace, outbox: &Outbox) -> Result<(), JobError> {
        if self.watched {
            let pictures = self.trainer.probes().await?;
            self.probes = pictures.map(|pictures| Probes { pictures, last: 0.0, took: 0.0, step: None });
        }
        self.judge_before();
        if self.trainer.step() == 0 {
            self.measure(true, pace, outbox).await?;
        }
        self.probe(outbox).await?;
        Ok(())
    }

    /// The model.
    pub fn trainer(&self) -> &Trainer {
        &self.trainer
    }

    /// Whether commands can be taken up: no step is half done.
    pub fn is_between_steps(&self) -> bool {
        self.trainer.is_between_steps()
    }

    /// Submits the next piece of a step, or what is due after one.
    pub async fn advance(&mut self, pace: &mut Pace, outbox: &Outbox) -> Result<Progress, JobError> {
        if self.is_between_steps() {
            let over = self.trainer.step() >= self.last;
            if (self.stopping || over) && !self.unsaved {
                return self.finish(pace, outbox).await;
            }
            if self.unsaved || (self.paused && self.steps_allowed == 0) {
                self.awake = None;
                self.report(outbox).await?;
                self.paused_at.get_or_insert_with(platform::now_seconds);
                return Ok(Progress::Paused);
            }
            self.pause_ended();
            self.awake.get_or_insert_with(|| Awake::keep("A model is learning"));
            self.steps_allowed = self.steps_allowed.saturating_sub(1);
        }
        self.trainer.ready().await?;
        let whole = match self.trainer.advance_slice(pace.most()) {
            Ok(whole) => whole,
            Err(error) => return Err(self.cut_short(error, outbox).await),
        };
        pace.submitted(self.trainer.gpu()).await.map_err(TrainError::from)?;
        if !whole {
            return Ok(Progress::Slice);
        }
        let due = self.trainer.is_full() || platform::now_seconds() - self.last_report >= REPORT_EVERY;
        // On a processor every submission is waited for: work would only pile up.
        if due || self.trainer.gpu().is_cpu() {
            self.report(outbox).await?;
        }
        let step = self.trainer.step();
        let train = &self.trainer.recipe().train;
        let [measured, shown, mut saved] =
            [train.eval_every, train.preview_every, train.checkpoint_every].map(|interval| is_due(interval, step));
        let long = platform::now_seconds() - self.written_at >= MOST_UNSAVED;
        saved |= long && train.checkpoint_every > 0 && self.folder.is_some();
        if measured || shown {
            self.report(outbox).await?;
            self.measure(shown, pace, outbox).await?;
        }
        if saved {
            self.report(outbox).await?;
            self.save_due(outbox).await?;
        }
        self.probe(outbox).await?;
        if self.copies.is_due() {
            self.snapshot(false, outbox).await?;
        }
        Ok(Progress::Step)
    }

    /// Time spent paused is none of the run's.
    fn pause_ended(&mut self) {
        if let Some(since) = self.paused_at.take() {
            self.started_at += platform::now_seconds() - since;
        }
    }

    /// Takes up a command, between steps; other commands than those of training are none of its business.
    pub async fn obey(&mut self, command: Command, pace: &mut Pace, outbox: &Outbox) -> Result<(), JobError> {
        match command {
            Command::Pause => {
                // Steps that were asked for one by one are those of this pause alone.
                (self.paused, self.steps_allowed) = (true, 0);
                if self.copies.are_made() {
                    self.snapshot(false, outbox).await?;
                }
            }
            Command::Resume => {
                (self.paused, self.steps_allowed) = (false, 0);
                // A run at its end tries again by itself; one that goes on does so however that ends.
                if std::mem::take(&mut self.unsaved) && !self.stopping && self.trainer.step() < self.last {
                    self.try_to_save(outbox).await;
                }
                // Time spent paused is no training time.
                self.last_report = platform::now_seconds();
            }
            Command::Step => {
                self.steps_allowed += 1;
                if self.paused {
                    // As above.
                    self.last_report = platform::now_seconds();
                }
            }
            Command::Stop => {
                self.gives_up = std::mem::take(&mut self.unsaved);
                self.stopping = true;
            }
            // Whoever closes a window waits for its end, and makes no room.
            Command::Close => (self.stopping, self.watched, self.unsaved) = (true, false, false),
            Command::Save => {
                self.report(outbox).await?;
                self.try_to_save(outbox).await;
            }
            Command::Snapshot => self.snapshot(true, outbox).await?,
            Command::SnapshotEvery(seconds) => self.copies.set_every(seconds),
            Command::Measure => {
                self.report(outbox).await?;
                self.measure(true, pace, outbox).await?;
            }
            Command::SetMaskRatio(ratio) if ratio == self.trainer.recipe().model.mask_ratio => {}
            Command::SetMaskRatio(ratio) => match self.trainer.set_mask_ratio(ratio).await {
                Ok(()) => self.mask_ratio_changed(outbox).await,
                Err(error) => {
                    outbox.send(Event::Warning(format!("the mask ratio stays: {error}")));
                    outbox.send(Event::MaskRatio(self.trainer.recipe().model.mask_ratio));
                }
            },
            Command::SetBaseLearningRate(blr) => match self.trainer.set_base_learning_rate(blr) {
                Ok(()) => self.recipe_changed = true,
                Err(error) => outbox.send(Event::Warning(error.to_string())),
            },
            _ => return Ok(()),
        }
        if matches!(command, Command::Pause | Command::Resume) {
            outbox.send(Event::Paused(self.paused));
        }
        Ok(())
    }

    /// Takes up what the folder tells of measurements that compare with those to come.
    fn judge_before(&mut self) {
        self.judged = Judged::default();
        let before = self.folder.as_ref().map(|folder| read_metrics(folder.path())).unwrap_or_default();
        for (step, loss) in comparable(&before, self.trainer.recipe().model.mask_ratio, self.trainer.measured_set()) {
            self.judged.take(step, loss, &self.trainer.recipe().train);
        }
    }

    /// Forgets what was measured with another share of hidden patches: it does not compare with what will be.
    async fn mask_ratio_changed(&mut self, outbox: &Outbox) {
        self.judge_before();
        self.recipe_changed = true;
        if let Some(folder) = &mut self.folder {
            let compared = folder.compare_at(self.trainer.recipe().model.mask_ratio, self.trainer.measured_set());
            self.note_written(compared, outbox);
        }
        let Some(probes) = &mut self.probes else { return };
        match self.trainer.probes().await {
            Ok(Some(pictures)) => (probes.pictures, probes.step) = (pictures, None),
            Ok(None) => {}
            Err(error) => {
                // They are there to be looked at; the run goes on without.
                self.probes = None;
                outbox.send(Event::Warning(format!("held-out pictures are not rebuilt any more: {error}")));
            }
        }
    }

    /// Writes down what the user changed, and reads the metrics of submitted steps, logs and reports them.
    async fn report(&mut self, outbox: &Outbox) -> Result<(), JobError> {
        if let (true, Some(folder)) = (self.recipe_changed, &mut self.folder) {
            let written = folder.set_recipe(self.trainer.recipe());
            self.recipe_changed = written.is_err();
            self.note_written(written, outbox);
        }
        if let Some(text) = self.unreadable.remark(&self.trainer) {
            outbox.send(Event::Warning(text));
        }
        loop {
            let metrics = match self.trainer.collect().await {
                Ok(metrics) => metrics,
                Err(TrainError::NotFinite { what, step, .. }) => {
                    let checkpoint = self.rescue(outbox).await;
                    return Err(TrainError::NotFinite { what, step, checkpoint }.into());
                }
                Err(error) => return Err(error.into()),
            };
            if metrics.is_empty() {
                return Ok(());
            }
            self.log(metrics, outbox);
        }
    }

    /// Logs and reports the metrics of steps that are done.
    fn log(&mut self, metrics: Vec<StepMetrics>, outbox: &Outbox) {
        let now = platform::now_seconds();
        let images = metrics.len() * self.trainer.recipe().effective_batch();
        let speed = images as f64 / (now - self.last_report).max(1e-9);
        self.last_report = now;
        for StepMetrics { step, loss, lr, grad_norm, loss_scale } in metrics {
            let line = MetricsLine {
                step,
                loss: Some(loss),
                lr: Some(lr),
                grad_norm,
                loss_scale,
                images_per_s: Some(rounded(speed)),
                ..MetricsLine::default()
            };
            if let Some(folder) = &mut self.folder {
                let written = folder.log(&line);
                self.note_written(written, outbox);
            }
            outbox.send(Event::Step(line));
        }
    }

    /// Measures held-out pictures and writes a preview where asked.
    async fn measure(&mut self, preview: bool, pace: &mut Pace, outbox: &Outbox) -> Result<(), JobError> {
        let step = self.trainer.step();
        let Some(result) = self.trainer.measure(pace).await? else { return Ok(()) };
        if self.judged.take(step, result.loss, &self.trainer.recipe().train) {
            if let Some(folder) = &mut self.folder {
                let (held_out_loss, mask_ratio) = (Some(result.loss), Some(self.trainer.recipe().model.mask_ratio));
                let measured = self.trainer.measured_set();
                let line = MetricsLine { step, held_out_loss, mask_ratio, measured, ..MetricsLine::default() };
                let mut written = folder.log(&line);
                if folder.is_best(step, result.loss) {
                    let best = Checkpoint { held_out_loss, ..self.trainer.weights().await? };
                    written = written.and(folder.save_best(&best).map(drop));
                }
                self.note_written(written, outbox);
            }
            if self.saved_at == Some(step) && state_bytes(&self.trainer) <= SAVED_TWICE {
                // Once more when it is saved next, with the loss.
                self.saved_at = None;
            }
            outbox.send(Event::HeldOut { step, loss: result.loss });
            let train = &self.trainer.recipe().train;
            if self.judged.is_stale(train) && !self.stopping && step < self.last {
                let patience = train.early_stop;
                let text = format!("the held-out loss has not fallen for {patience} measurements: the run ends here");
                outbox.send(Event::Warning(text));
                self.stopping = true;
            }
        }
        if let (Some(folder), true) = (&mut self.folder, preview) {
            let written =
                folder.preview(step, &result.strips, result.size).map(|path| outbox.send(Event::Preview(path)));
            self.note_written(written, outbox);
        }
        // Measuring is no training time.
        self.last_report = platform::now_seconds();
        Ok(())
    }

    /// Rebuilds the probes for whoever watches, as often as it does not hold up training.
    async fn probe(&mut self, outbox: &Outbox) -> Result<(), JobError> {
        let Some(probes) = &mut self.probes else { return Ok(()) };
        let (now, step) = (platform::now_seconds(), self.trainer.step());
        let due = now - probes.last >= PROBE_EVERY.max(probes.took / PROBE_SHARE);
        if probes.step == Some(step) || (!due && step != self.last) || outbox.backlog() >= MOST_WAITING {
            return Ok(());
        }
        let gpu = self.trainer.gpu();
        let [width, height] = probes.pictures.strip_size();
        let texture = gpu.texture("probes", width, height);
        // From one end of the device's work to another: what is only submitted takes no time.
        gpu.reached(gpu.mark()).await?;
        let start = platform::now_seconds();
        probes.pictures.paint(gpu, &texture);
        gpu.reached(gpu.mark()).await?;
        probes.took = platform::now_seconds() - start;
        probes.last = now;
        probes.step = Some(step);
        outbox.send(Event::Probe { step, texture });
        Ok(())
    }

    /// Measures and saves what is at its end; paused where it cannot be saved and somebody watches.
    async fn finish(&mut self, pace: &mut Pace, outbox: &Outbox) -> Result<Progress, JobError> {
        self.report(outbox).await?;
        let step = self.trainer.step();
        let over = step == self.trainer.recipe().train.steps;
        // First of all: who stops a run may have no patience for more.
        if self.stopping && !self.save_due(outbox).await? {
            return Ok(Progress::Paused);
        }
        if over || self.judged.at(step).is_none() {
            self.measure(over, pace, outbox).await?;
        }
        self.probe(outbox).await?;
        if self.copies.are_made() {
            self.snapshot(false, outbox).await?;
        }
        if !self.save_due(outbox).await? {
            return Ok(Progress::Paused);
        }
        if platform::KEEPS && self.folder.is_none() && offers_weights(state_bytes(&self.trainer)) {
            outbox.send(Event::Weights(Arc::new(self.trainer.weights().await?)));
        }
        self.pause_ended();
        let time = (platform::now_seconds() - self.started_at).max(1e-9);
        let waited = self.trainer.feed().waited() / time;
        // Whoever hears of the end may go on with the folder at once.
        (self.folder, self.awake) = (None, None);
        outbox.send(Event::Finished { waited, step: self.trainer.step() });
        Ok(Progress::Done)
    }
}

/// Whether what is done every `interval` steps is due after `step` of them; 0 is never.
fn is_due(interval: u64, step: u64) -> bool {
    interval > 0 && step.is_multiple_of(interval)
}

/// `speed` with as many digits as tell something.
fn rounded(speed: f64) -> f64 {
    let digits = if speed < 10.0 { 1000.0 } else { 10.0 };
    (speed * digits).round() / digits
}

/// Bytes of weights and both moments, and of the weights' average where the run keeps one.
fn state_bytes(trainer: &Trainer) -> u64 {
    let copies = if trainer.recipe().train.ema_decay > 0.0 { 4 } else { 3 };
    trainer.store().specs().iter().map(|spec| spec.len() as u64 * 4 * copies).sum()
}
