//! The actor that both faces drive: commands in, events out. It owns model, data and trainer.

mod actor;
mod explore;
mod job;
mod keeping;
mod message;
mod outbox;
mod training;

pub use actor::Session;
pub use job::{Begin, Job, JobError, Prepared, start_trainer};
pub use keeping::most_copied;
pub use message::{Command, Event, Model, Request, Shown, Started, WeightsFrom};
