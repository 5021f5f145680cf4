//! What there is to say of a run that begins or goes on, and of its pictures on the way.

use crate::data::few;
use crate::train::Trainer;

/// Unreadable pictures of a stream are told at every multiple of the former number.
const TOLD_AGAIN: u64 = 10;

/// What whoever begins the run of `trainer` should know.
pub fn at_start(trainer: &Trainer) -> Vec<String> {
    let mut told = Vec::new();
    let train = &trainer.recipe().train;
    if trainer.measured() == 0 {
        let why = match trainer.held_out() {
            0 => "with a single picture none can be held out".to_owned(),
            count => format!("none of the {count} held-out pictures can be read"),
        };
        told.push(format!("{why}: there is no held-out loss, and no best checkpoint"));
    }
    if let Some(former) = trainer.former_pictures() {
        let (then, now) = (former.count, trainer.feed().pictures().count);
        let what = if then == now { "others of the same number".to_owned() } else { format!("{now} pictures") };
        told.push(format!(
            "the run has trained on {then} pictures so far and goes on with {what}: their order is a new one, and what it \
             learns is not what it would have learnt"
        ));
    }
    if train.warmup_steps >= train.steps && trainer.step() == 0 {
        told.push(format!(
            "warm-up takes {} steps, and there are {}: the learning rate never reaches its peak; expected fewer warm-up \
             steps",
            train.warmup_steps, train.steps
        ));
    }
    if train.early_stop > 0 && train.eval_every == 0 && train.preview_every == 0 {
        told.push(format!(
            "early_stop = {} ends nothing: eval_every and preview_every are 0, so that nothing is measured on the way",
            train.early_stop
        ));
    }
    told
}

/// Unreadable pictures of a stream, of which a run that learns tells now and then.
#[derive(Debug, Default)]
pub struct Unreadable {
    told: u64,
}

impl Unreadable {
    /// What there is to say of them now, if anything.
    pub fn remark(&mut self, trainer: &Trainer) -> Option<String> {
        let (failed, tried, names) = trainer.feed().unreadable();
        if failed == 0 || failed < self.told * TOLD_AGAIN {
            return None;
        }
        self.told = failed;
        let verb = if failed == 1 { "was" } else { "were" };
        Some(format!("{failed} of {tried} pictures read so far {verb} skipped: {}", few(names, failed as usize)))
    }
}
