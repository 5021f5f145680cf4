//! Which options help out of an error: the library knows of none.

use crate::session::JobError;
use crate::train::TrainError;
use crate::weights::WeightsError;

/// Which options say otherwise than `text`, one of what was assumed of weights.
pub fn on_assumed(text: &str) -> Option<&'static str> {
    let heads = ["heads = ", "decoder_heads = "].iter().any(|begin| text.starts_with(begin));
    heads.then_some("--heads and --decoder-heads say otherwise")
}

/// What to do about `error` on the command line, where there is something.
pub fn on(error: &anyhow::Error) -> Option<&'static str> {
    if let Some(WeightsError::Range { .. }) = error.downcast_ref() {
        return Some("leave --f16 out");
    }
    let of_job =
        error.downcast_ref().and_then(|error| if let JobError::Train(error) = error { Some(error) } else { None });
    match error.downcast_ref().or(of_job)? {
        TrainError::HoldsRun { .. } => Some("--resume goes on with it, --out names another folder"),
        TrainError::Fixed { .. } => Some("leave the option out to go on, or name another folder by --out"),
        TrainError::DataGone(_) => Some("--data says where it lies now"),
        TrainError::Unreadable { .. } => Some("--max-unreadable allows more"),
        _ => None,
    }
}
