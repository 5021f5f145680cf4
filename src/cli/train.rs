//! `unmask train`: a session with a progress bar.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;

use super::args::{Common, TrainArgs};
use super::interrupt::Interrupt;
use super::progress::say;
use super::train_screen::{TrainScreen, report_json};
use super::{resume, weights};
use crate::data;
use crate::platform;
use crate::session::{Begin, Command, Event, Job, Session};
use crate::train::{RunFolder, TrainRecipe};

/// Runs `unmask train`.
pub fn run(common: &Common, args: &TrainArgs) -> anyhow::Result<()> {
    let mut recipe = args.recipe()?;
    let named = || PathBuf::from(format!("runs/{}-{}", recipe.short_name(), recipe.train.seed));
    let out = args.out.clone().unwrap_or_else(named);
    let run = args.resume.then(|| RunFolder::recipe(&out)).transpose()?;
    if let Some(run) = &run {
        recipe = resume::wanted(args, run)?;
    }
    if args.data_stats {
        (recipe.model.pixel_mean, recipe.model.pixel_std) = data_stats(common, &recipe.train)?;
    }
    if let Some(epochs) = args.epochs {
        let pictures = data::open_for(&recipe.train.data, &recipe.train.held_out)?.1.train.len();
        let steps = epochs.saturating_mul(pictures as u64).div_ceil(recipe.effective_batch().max(1) as u64).max(1);
        if run.is_none() && args.warmup_steps.is_none() {
            // The recipe's share of all steps, for which it was made.
            let share = recipe.train.warmup_steps as f64 / recipe.train.steps.max(1) as f64;
            recipe.train.warmup_steps = (share * steps as f64).round() as u64;
        }
        recipe.train.steps = steps;
    }
    if let Some(run) = &run {
        resume::check_steps(run, &recipe)?;
    }
    let begin = match &args.init {
        _ if args.resume => Begin::Resume,
        Some(init) => Begin::Weights(weights::local(common, init)?),
        None => Begin::New,
    };
    let job = Job { begin, out: Some(out), adapter: common.request(), stop_after: args.stop_after, ..Job::new(recipe) };
    drive(common, job)
}

/// Pictures that mean and deviation are computed from, at most.
const MOST_COUNTED: usize = 4096;

/// Mean and deviation of the training pictures, of evenly chosen ones where there are very many.
pub fn data_stats(common: &Common, recipe: &TrainRecipe) -> anyhow::Result<([f64; 3], [f64; 3])> {
    let (source, split) = data::open_for(&recipe.data, &recipe.held_out)?;
    let every = split.train.len().div_ceil(MOST_COUNTED).max(1);
    let indices: Vec<usize> = split.train.iter().copied().step_by(every).collect();
    let found = data::census(source.as_ref(), &indices, platform::threads(), |_| ());
    if found.readable == 0 {
        bail!("none of {} pictures can be read", indices.len());
    }
    // As many digits as anyone writes.
    let rounded = |values: [f64; 3]| values.map(|value| (value * 1e4).round() / 1e4);
    let (mean, std) = (rounded(found.pixels.mean), rounded(found.pixels.std));
    say(common, format_args!("pixels    mean {mean:?}, deviation {std:?}, from {} pictures", found.readable));
    Ok((mean, std))
}

/// Runs a session to its end; Ctrl-C finishes the step, saves and ends it. Where the device is lost, as by a driver's
/// reset or a machine that slept, another one goes on from the newest checkpoint.
pub fn drive(common: &Common, mut job: Job) -> anyhow::Result<()> {
    let interrupt = Interrupt::catch(common, &[Command::Stop])?;
    let mut screen = TrainScreen::new(common);
    let mut unheard = None;
    let mut lost_at = None;
    let mut adapter: Option<String> = None;
    let mut last = None;
    loop {
        let session = Session::start(job.clone())?;
        interrupt.reaches(&session);
        let ended = watch(session, |session, event| {
            if common.json && unheard.is_none() {
                // Where nobody reads on the run ends as by Ctrl-C: nothing is lost.
                unheard = report_json(event).err();
                if unheard.is_some() {
                    session.send(Command::Stop);
                }
            }
            if let Event::Started(start) = event {
                last = job.stop_after.map(|steps| start.step + steps);
                let now = &start.adapter.name;
                if let Some(before) = adapter.replace(now.clone()).filter(|before| before != now) {
                    log::warn!("\"{before}\" did not come back: the run goes on with \"{now}\", and not to the bit");
                }
            }
            let stopped = matches!(event, Event::Finished { step, .. } if Some(*step) == last);
            screen.show(event, interrupt.came() || unheard.is_some() || stopped);
        })?;
        let Ended::Lost(reason) = ended else { return unheard.map_or(Ok(()), Err) };
        let Some((file, checkpoint)) = job.out.as_deref().and_then(|out| RunFolder::newest(out).ok()?) else {
            bail!("{reason}; nothing was saved yet");
        };
        let file = file.display();
        // One that is lost again before anything more was saved would be for ever.
        let goes_on = job.stop_after.is_none() && lost_at != Some(checkpoint.step);
        if goes_on && !interrupt.came() {
            log::warn!("{reason}; the run goes on from {file} in {} s", COME_BACK.as_secs());
            std::thread::sleep(COME_BACK);
        }
        if !goes_on || interrupt.came() {
            bail!("{reason}; --resume continues from {file}");
        }
        lost_at = Some(checkpoint.step);
        job.begin = Begin::Resume;
    }
}

/// Drivers take their time to come back.
const COME_BACK: Duration = Duration::from_secs(10);

/// How a session ended in which nothing failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// At its end, or as asked, with everything saved.
    Finished,
    /// Before anything was begun.
    Cancelled,
    /// With its device, for this reason.
    Lost(String),
}

/// Has `see` look at every event of `session`, until its end.
///
/// # Errors
/// What made the run fail.
pub fn watch(session: Session, mut see: impl FnMut(&Session, &Event)) -> anyhow::Result<Ended> {
    while let Some(event) = session.wait() {
        see(&session, &event);
        let ended = match event {
            Event::Finished { .. } => Ok(Ended::Finished),
            Event::Cancelled => Ok(Ended::Cancelled),
            Event::Lost(reason) => Ok(Ended::Lost(reason)),
            Event::Failed(error) => Err(error.into()),
            _ => continue,
        };
        session.join()?;
        return ended;
    }
    bail!("internal error: the session ended without a result")
}
