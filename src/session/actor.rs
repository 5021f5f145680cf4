//! The loop of a session, on a thread of its own or on the tab's event loop.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use async_channel::Sender;

use super::explore::Exploring;
use super::job::{Job, JobError};
use super::message::{Command, Event, Request, WeightsFrom};
use super::outbox::{Inbox, Outbox};
use super::training::{Progress, Training};
use crate::gpu::Gpu;
use crate::gpu::Pace;
use crate::platform;
use crate::train::TrainError;

/// A running session: a thread of its own, or in a page a task on its event loop.
///
/// A session of one job ([`Session::start`]) reports [`Event::Opened`] and [`Event::Started`], then steps, measurements
/// and files, and last of all [`Event::Finished`], [`Event::Cancelled`], [`Event::Failed`] or [`Event::Lost`]; then
/// [`Session::wait`] gives `None`. One that is shared ([`Session::open`]) goes on after a run, until it is told to close or
/// its device is lost. Commands may be sent at any time, and are taken up in order. Who drops it closes it: what is in
/// training is saved, beside whoever goes on; [`Session::join`] waits for that.
#[derive(Debug)]
pub struct Session {
    commands: Sender<Command>,
    events: Inbox,
}

impl Session {
    /// Runs `job` on a device of its own and ends with it; everything that happens comes as events.
    ///
    /// # Errors
    /// [`JobError::Thread`] where the system gives no thread.
    pub fn start(job: Job) -> Result<Session, JobError> {
        Session::spawn(None, Some(job), Arc::new(|| ()))
    }

    /// A session that waits for commands, on a device that it shares; `wake` is called after every event.
    ///
    /// # Errors
    /// [`JobError::Thread`] where the system gives no thread.
    pub fn open(gpu: Arc<Gpu>, wake: Arc<dyn Fn() + Send + Sync>) -> Result<Session, JobError> {
        Session::spawn(Some(gpu), None, wake)
    }

    fn spawn(gpu: Option<Arc<Gpu>>, job: Option<Job>, wake: Arc<dyn Fn() + Send + Sync>) -> Result<Session, JobError> {
        let (commands, command_receiver) = async_channel::unbounded();
        let (outbox, events) = Outbox::new(wake);
        if let Some(gpu) = &gpu {
            // Held weakly: a session ends when nobody can send it commands any more.
            let commands = commands.downgrade();
            gpu.on_lost(move || {
                if let Some(commands) = commands.upgrade() {
                    // A session that has ended has nothing to look after.
                    let _ = commands.try_send(Command::Wake);
                }
            });
        }
        platform::spawn(move || async move {
            let _told = PanicTold(outbox.clone());
            let mut actor = Actor {
                exploring: gpu.clone().map(Exploring::new),
                gpu,
                commands: command_receiver,
                outbox,
                training: None,
                alone: job.is_some(),
                early: VecDeque::new(),
                deferred: VecDeque::new(),
                next: VecDeque::new(),
                pace: Pace::default(),
                snapshot_every: None,
                closing: false,
            };
            actor.run(job).await;
        })
        .map_err(JobError::Thread)?;
        Ok(Session { commands, events })
    }

    /// Sends a command; false if the session has ended.
    pub fn send(&self, command: Command) -> bool {
        self.commands.try_send(command).is_ok()
    }

    /// A sender of commands for another thread.
    pub fn commands(&self) -> Sender<Command> {
        self.commands.clone()
    }

    /// The next event, blocking the calling thread until there is one; `None` when the session has ended. A page must not
    /// block: it polls.
    pub fn wait(&self) -> Option<Event> {
        self.events.wait()
    }

    /// Waits until a session of one job is gone, and with it the device: a program that exits before may crash in a
    /// driver that is being unloaded.
    ///
    /// # Errors
    /// What made the run fail, or [`JobError::Lost`], where no [`Session::wait`] has told it already.
    pub fn join(&self) -> Result<(), JobError> {
        let mut ended = Ok(());
        while let Some(event) = self.wait() {
            match event {
                Event::Failed(error) => ended = Err(error),
                Event::Lost(reason) => ended = Err(JobError::Lost(reason)),
                _ => {}
            }
        }
        ended
    }

    /// The next event if there is one already.
    pub fn poll(&self) -> Option<Event> {
        self.events.poll()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // One that has ended is closed already.
        self.send(Command::Close);
    }
}

/// Tells whoever listens that the session panicked, so that they do not wait for ever: they set up another, with what was
/// last copied, as after the loss of a device.
struct PanicTold(Outbox);

impl Drop for PanicTold {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.send(Event::Lost("a defect of this program stopped the engine".to_owned()));
        }
    }
}

struct Actor {
    gpu: Option<Arc<Gpu>>,
    commands: async_channel::Receiver<Command>,
    exploring: Option<Exploring>,
    training: Option<Training>,
    /// Whether it is there for one job, and ends with it.
    alone: bool,
    /// Commands that came while a run was prepared.
    early: VecDeque<Command>,
    /// Commands to a run that is in the middle of a step.
    deferred: VecDeque<Command>,
    /// The run that begins when this one has ended, and what came behind it.
    next: VecDeque<Command>,
    pace: Pace,
    snapshot_every: Option<f64>,
    closing: bool,
    /// Dropped last: whoever sees it closed may end the program, by when drivers must be unloaded.
    outbox: Outbox,
}

impl Actor {
    async fn run(&mut self, job: Option<Job>) {
        let alone = self.alone;
        if let Some(job) = job {
            self.train(&job).await;
        }
        loop {
            while let Some(command) = self.early.pop_front().or_else(|| self.commands.try_recv().ok()) {
                self.obey(command).await;
            }
            self.obey_deferred().await;
            self.show().await;
            if let Some(reason) = self.lost() {
                // Whoever hears of it may go on with the run's folder at once.
                self.training = None;
                self.outbox.send(Event::Lost(reason));
                return;
            }
            let idle = match &mut self.training {
                None => true,
                Some(training) => match training.advance(&mut self.pace, &self.outbox).await {
                    Ok(Progress::Slice) => false,
                    Ok(Progress::Step) => {
                        if let Some(exploring) = &mut self.exploring {
                            exploring.model_moved();
                        }
                        false
                    }
                    Ok(Progress::Paused) => true,
                    Ok(Progress::Done) => {
                        self.training_ended();
                        true
                    }
                    // Said once, at the top of the loop.
                    Err(_) if self.lost().is_some() => false,
                    Err(error) => {
                        self.training = None;
                        self.outbox.send(Event::Failed(error));
                        self.training_ended();
                        true
                    }
                },
            };
            if self.training.is_none() && (self.closing || (alone && self.early.is_empty())) {
                return;
            }
            let caught_up = !(idle && self.exploring.as_mut().is_some_and(Exploring::catch_up));
            if idle && caught_up && self.early.is_empty() {
                // Without a sender left nobody will ever ask for anything.
                let Ok(command) = self.commands.recv().await else { return };
                self.obey(command).await;
            } else {
                platform::pause().await;
            }
        }
    }

    /// Why the device is gone that the session shares, or that its run has, if it is.
    fn lost(&self) -> Option<String> {
        let own = || self.training.as_ref().map(|training| training.trainer().gpu());
        self.gpu.as_ref().or_else(own).and_then(|gpu| gpu.lost()).map(str::to_owned)
    }

    async fn train(&mut self, job: &Job) {
        if let Some(exploring) = &mut self.exploring {
            exploring.release();
        }
        match self.begun(job).await {
            Ok(training) => self.training = training,
            Err(error) => self.outbox.send(Event::Failed(error)),
        }
        let trainer = self.training.as_ref().map(Training::trainer);
        if let Some(exploring) = &mut self.exploring
            && let Err(error) = exploring.run_began(trainer, &self.outbox).await
        {
            let from = if trainer.is_some() { WeightsFrom::Training } else { WeightsFrom::Shipped };
            self.refuse(Request::Weights(from), &error);
        }
    }

    /// Tells why what was asked for cannot be had; where the device is gone that alone is told.
    fn refuse(&self, request: Request, error: &TrainError) {
        if self.lost().is_none() {
            self.outbox.send(Event::Refused { request, reason: error.to_string() });
        }
    }

    /// A run of `job` that has begun; none where it was given up, which is told.
    async fn begun(&mut self, job: &Job) -> Result<Option<Training>, JobError> {
        let Actor { commands, early, outbox, pace, .. } = self;
        let prepared = Training::prepare(job, self.gpu.clone(), self.snapshot_every, outbox);
        let ends = |command: &Command| matches!(command, Command::Stop | Command::Close);
        if early.iter().any(ends) {
            // It came while the run waited for the end of another.
            outbox.send(Event::Cancelled);
            return Ok(None);
        }
        if let Some(training) = unless(ends, commands, early, prepared).await {
            let mut training = training?;
            // From here on a run that is stopped is saved, and only who leaves does not wait for its first numbers.
            let ends = |command: &Command| matches!(command, Command::Close);
            if let Some(began) = unless(ends, commands, early, training.begin(pace, outbox)).await {
                return began.map(|()| Some(training));
            }
        }
        outbox.send(Event::Cancelled);
        Ok(None)
    }

    /// Clears away a run that has ended; the one that waited for its end is taken up before all that came later.
    fn training_ended(&mut self) {
        self.training = None;
        if let Some(exploring) = &mut self.exploring {
            exploring.run_ended(&self.outbox);
        }
        // What came behind it is no business of a run that is over.
        self.deferred.clear();
        let next = std::mem::take(&mut self.next);
        next.into_iter().rev().for_each(|command| self.early.push_front(command));
    }

    /// Rebuilds the explored picture if anything about it changed.
    async fn show(&mut self) {
        let Some(exploring) = &mut self.exploring else { return };
        let mut results = Vec::new();
        if exploring.is_stale() {
            results.push((Request::Shown, exploring.show(&self.outbox).await));
        }
        if exploring.wants_look() {
            results.push((Request::Look, exploring.look(&self.outbox).await));
        }
        if exploring.wants_costs() {
            results.push((Request::Costs, exploring.profile(&self.outbox).await));
        }
        for (request, result) in results {
            if let Err(error) = result {
                self.refuse(request, &error);
            }
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Weights(from) => {
                let trainer = self.training.as_ref().map(Training::trainer);
                if let Some(exploring) = &mut self.exploring
                    && let Err(error) = exploring.set_weights(from.clone(), trainer, &self.outbox).await
                {
                    self.refuse(Request::Weights(from), &error);
                }
            }
            Command::Picture(picture) => {
                if let Some(exploring) = &mut self.exploring
                    && let Err(error) = exploring.set_picture(*picture).await
                {
                    self.refuse(Request::Picture, &error);
                }
            }
            Command::Hide(hidden) => {
                if let Some(exploring) = &mut self.exploring {
                    exploring.hide(hidden);
                }
            }
            Command::Inspect(look) => {
                if let Some(exploring) = &mut self.exploring {
                    exploring.inspect(look);
                }
            }
            Command::Profile => {
                if let Some(exploring) = &mut self.exploring {
                    exploring.ask_costs();
                }
            }
            // Whatever happened is seen at the top of the loop.
            Command::Wake => {}
            Command::SetSlice(seconds) => self.pace.set(seconds),
            Command::SnapshotEvery(seconds) => {
                self.snapshot_every = Some(seconds);
                self.defer(command);
            }
            Command::Close => {
                self.closing = true;
                // Nothing begins any more.
                self.next.clear();
                self.defer(Command::Close);
            }
            Command::Train(_) if self.closing => {}
            Command::Train(job) if self.training.is_none() => self.train(&job).await,
            Command::Train(job) => {
                if self.next.is_empty() {
                    self.deferred.push_back(Command::Stop);
                }
                self.next.push_back(Command::Train(job));
            }
            other => self.defer(other),
        }
    }

    /// Keeps a command for the run, if there is one, or for the one that waits for its end.
    fn defer(&mut self, command: Command) {
        let Some(training) = &self.training else { return };
        // A run that cannot be saved ends only when it is told what is to become of it.
        match self.next.is_empty() || training.is_unsaved() {
            true => self.deferred.push_back(command),
            false => self.next.push_back(command),
        }
    }

    /// Has the run do what it was told, if it is between steps.
    async fn obey_deferred(&mut self) {
        if !self.training.as_ref().is_some_and(Training::is_between_steps) {
            return;
        }
        while let (Some(training), Some(command)) = (&mut self.training, self.deferred.pop_front()) {
            let is_ratio = |command: &Command| matches!(command, Command::SetMaskRatio(_));
            if is_ratio(&command) && self.deferred.iter().any(is_ratio) {
                // Every one of them plans all graphs anew: of a slider that was drawn only the last counts.
                continue;
            }
            if let Err(error) = training.obey(command, &mut self.pace, &self.outbox).await {
                self.training = None;
                self.outbox.send(Event::Failed(error));
                self.training_ended();
                return;
            }
        }
    }
}

/// What comes of `work`; nothing where a command `ends` it, at one of its pauses. Commands meanwhile go to `early`.
async fn unless<T>(
    ends: impl Fn(&Command) -> bool,
    commands: &async_channel::Receiver<Command>,
    early: &mut VecDeque<Command>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|context| {
        while let Ok(command) = commands.try_recv() {
            let end = ends(&command);
            early.push_back(command);
            if end {
                return Poll::Ready(None);
            }
        }
        work.as_mut().poll(context).map(Some)
    })
    .await
}
