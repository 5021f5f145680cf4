//! What a run writes and hands out to be gone on with: checkpoints and copies of its state.

use std::sync::Arc;

use super::{Training, state_bytes};
use crate::platform;
use crate::session::job::JobError;
use crate::session::keeping::most_copied;
use crate::session::message::Event;
use crate::session::outbox::Outbox;
use crate::train::{Checkpoint, RunFolder, TrainError};

/// Seconds to wait before a checkpoint that could not be written is tried again: a folder on a network may come back.
const TRY_AGAIN: [f64; 3] = [1.0, 3.0, 9.0];

impl Training {
    /// Whether it waits for whoever watches, as nothing could be saved.
    pub fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    /// Saves a checkpoint unless the same step is saved already.
    pub(super) async fn save(&mut self, outbox: &Outbox) -> Result<(), JobError> {
        if self.folder.is_none() || self.saved_at == Some(self.trainer.step()) {
            return Ok(());
        }
        let checkpoint = self.trainer.checkpoint().await?;
        self.write(checkpoint, outbox)
    }

    /// Saves a checkpoint, or tells why that cannot be done.
    pub(super) async fn try_to_save(&mut self, outbox: &Outbox) {
        if let Err(error) = self.save(outbox).await {
            outbox.send(Event::Warning(format!("nothing was saved: {error}")));
        }
    }

    /// Saves a checkpoint that is due; false where that cannot be done and whoever watches was told, for whom the run waits.
    /// Where nobody watches it is tried again for some seconds, and then the run ends.
    pub(super) async fn save_due(&mut self, outbox: &Outbox) -> Result<bool, JobError> {
        let mut waits = TRY_AGAIN.into_iter();
        loop {
            let error = match self.save(outbox).await {
                Ok(()) => return Ok(true),
                Err(error) => error,
            };
            if !matches!(error, JobError::Train(TrainError::RunFolder { .. } | TrainError::Weights(_))) {
                return Err(error);
            }
            if self.watched && !self.gives_up {
                let text = "training is paused and nothing is lost yet: make room and press Resume. Stop discards unsaved \
                            progress if saving still fails";
                outbox.send(Event::Warning(format!("nothing was saved: {error}. {text}")));
                (self.paused, self.unsaved) = (true, true);
                self.written_at = platform::now_seconds();
                if self.copies.are_made() {
                    self.snapshot(false, outbox).await?;
                }
                outbox.send(Event::Unsaved);
                return Ok(false);
            }
            let Some(seconds) = waits.next() else { return Err(error) };
            outbox.send(Event::Warning(format!("nothing was saved: {error}; trying again in {seconds} s")));
            platform::sleep(seconds).await;
        }
    }

    /// Takes note of whether something could be written that the run can do without; that it cannot is told once.
    pub(super) fn note_written(&mut self, written: Result<(), TrainError>, outbox: &Outbox) {
        match written {
            Ok(()) => self.unlogged = false,
            Err(error) => {
                if !std::mem::replace(&mut self.unlogged, true) {
                    outbox.send(Event::Warning(format!("{error}; the run goes on, and tries again")));
                }
            }
        }
    }

    fn write(&mut self, mut checkpoint: Checkpoint, outbox: &Outbox) -> Result<(), JobError> {
        let Some(folder) = &mut self.folder else { return Ok(()) };
        checkpoint.held_out_loss = self.judged.at(checkpoint.step);
        let path = folder.save(&checkpoint)?;
        self.saved_at = Some(checkpoint.step);
        self.written_at = platform::now_seconds();
        outbox.send(Event::Saved(path));
        Ok(())
    }

    /// Saves what was learnt before `error`, such as data that can no longer be read.
    pub(super) async fn cut_short(&mut self, error: TrainError, outbox: &Outbox) -> JobError {
        let saved = match self.report(outbox).await {
            Ok(()) => self.rescue(outbox).await,
            // Worse than what happened first.
            Err(worse) => return worse,
        };
        let copied = match self.copies.are_made() {
            true => self.snapshot(false, outbox).await,
            false => Ok(()),
        };
        let step = self.trainer.step();
        outbox.send(Event::Warning(match copied {
            Ok(()) => format!("the run ended after {step} steps; {saved}"),
            Err(trouble) => format!("the run ended after {step} steps; {saved}; {trouble}"),
        }));
        error.into()
    }

    /// Saves the state of a run that fails where that is finite, and tells where it can be gone on from, as a half sentence.
    pub(super) async fn rescue(&mut self, outbox: &Outbox) -> String {
        let step = self.trainer.step();
        if self.saved_at != Some(step) {
            // The optimiser skips steps that went wrong; should anything be spoilt all the same, what is good stays.
            let saved = match self.trainer.checkpoint().await {
                Ok(checkpoint) if !checkpoint.is_finite() => Ok(()),
                Ok(checkpoint) if self.folder.is_some() => self.write(checkpoint, outbox),
                Ok(checkpoint) if self.copies.are_made() => {
                    self.hand_out(checkpoint, outbox);
                    return format!("the run was saved at step {step}, finite throughout, and can be continued");
                }
                Ok(_) => Ok(()),
                Err(error) => Err(error.into()),
            };
            if let Err(error) = saved {
                outbox.send(Event::Warning(format!("nothing was saved: {error}")));
            }
        }
        let Some(out) = self.folder.as_ref().map(|folder| folder.path().to_owned()) else {
            return "there is no checkpoint, as the run has no folder".to_owned();
        };
        match RunFolder::newest(&out) {
            Ok(Some((file, checkpoint))) => match checkpoint.is_finite() {
                true => format!("the newest checkpoint, finite throughout, is {}", file.display()),
                false => format!("the newest checkpoint, {}, holds numbers that are not finite either", file.display()),
            },
            Ok(None) => format!("there is no checkpoint in {}", out.display()),
            Err(error) => format!("there is no whole checkpoint: {error}"),
        }
    }

    /// Copies the state to main memory and hands it out, unless it was asked for by the clock and is large.
    pub(super) async fn snapshot(&mut self, asked: bool, outbox: &Outbox) -> Result<(), JobError> {
        let step = self.trainer.step();
        let copied = state_bytes(&self.trainer) <= most_copied(self.folder.is_some());
        if !asked && (!copied || self.copies.is_of(step)) {
            return Ok(());
        }
        self.report(outbox).await?;
        let start = platform::now_seconds();
        let checkpoint = self.trainer.checkpoint().await?;
        self.copies.made(start);
        self.hand_out(checkpoint, outbox);
        Ok(())
    }

    /// Hands out a copy of the state, and has the browser keep it where it does.
    fn hand_out(&mut self, checkpoint: Checkpoint, outbox: &Outbox) {
        self.copies.handed_out(checkpoint.step);
        let kept = platform::KEEPS && self.folder.is_none();
        if kept && state_bytes(&self.trainer) <= most_copied(self.folder.is_some()) {
            match checkpoint.to_bytes() {
                Ok(run) => platform::keep(&run),
                Err(error) => outbox.send(Event::Warning(error.to_string())),
            }
        }
        outbox.send(Event::Snapshot(Arc::new(checkpoint)));
    }
}
