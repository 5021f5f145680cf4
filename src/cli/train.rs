//! `unmask train`: a session with a progress bar.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, bail};

use super::args::{Common, TrainArgs};
use super::progress::{complain, say};
use super::train_screen::{TrainScreen, report_json};
use super::{resume, weights};
use crate::data;
use crate::platform;
use crate::session::{Command, Event, Job, Session};
use crate::train::RunFolder;

/// Runs `unmask train`.
pub fn run(common: &Common, args: &TrainArgs) -> anyhow::Result<()> {
    let mut recipe = args.recipe()?;
    let name = recipe.name.rsplit('/').next().unwrap_or("run").trim_end_matches(".toml");
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("runs/{name}-{}", recipe.train.seed)));
    let run = args.resume.then(|| RunFolder::recipe(&out)).transpose()?;
    if let Some(run) = &run {
        recipe = resume::wanted(args, run)?;
    }
    if args.data_stats {
        (recipe.model.pixel_mean, recipe.model.pixel_std) = data_stats(common, &recipe.train.data)?;
    }
    if let Some(epochs) = args.epochs {
        let pictures = data::open_all(&recipe.train.data)?.1.train.len();
        recipe.train.steps =
            epochs.saturating_mul(pictures as u64).div_ceil(recipe.effective_batch().max(1) as u64).max(1);
    }
    if let Some(run) = &run {
        resume::check_steps(run, &recipe)?;
    }
    let job = Job {
        out: Some(out),
        resume: args.resume,
        init: args.init.as_deref().map(|init| weights::local(common, init)).transpose()?,
        adapter: common.request(),
        stop_after: args.stop_after,
        ..Job::new(recipe)
    };
    drive(common, job)
}

/// Pictures that mean and deviation are computed from, at most.
const MOST_COUNTED: usize = 4096;

/// Mean and deviation of the training pictures, of evenly chosen ones where there are very many.
pub fn data_stats(common: &Common, specs: &[String]) -> anyhow::Result<([f64; 3], [f64; 3])> {
    let (source, split) = data::open_all(specs)?;
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

/// Runs a session to its end; Ctrl-C finishes the step, saves and ends it.
pub fn drive(common: &Common, job: Job) -> anyhow::Result<()> {
    let session = Session::start(job)?;
    let stopped = stop_by_interrupt(common, &session)?;
    let mut screen = TrainScreen::new(common);
    let mut unheard = None;
    while let Some(event) = session.wait() {
        if common.json && unheard.is_none() {
            // Where nobody reads on the run ends as by Ctrl-C: nothing is lost.
            unheard = report_json(&event).err();
            if unheard.is_some() {
                session.send(Command::Stop);
            }
        }
        screen.show(&event, stopped.load(Ordering::SeqCst));
        let result = match event {
            Event::Finished { .. } | Event::Cancelled => unheard.map_or(Ok(()), Err),
            Event::Failed(error) => Err(error.into()),
            Event::Lost(reason) => bail!("{reason}; --resume continues from the last checkpoint"),
            _ => continue,
        };
        session.join();
        return result;
    }
    bail!("internal error: the session ended without a result")
}

/// Lets Ctrl-C stop `session`, and a second one end the program; whether it was pressed.
fn stop_by_interrupt(common: &Common, session: &Session) -> anyhow::Result<Arc<AtomicBool>> {
    let stopped = Arc::new(AtomicBool::new(false));
    let (commands, flag) = (session.commands(), stopped.clone());
    let tell = !common.quiet && !common.json;
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::SeqCst) {
            // A second Ctrl-C means now.
            std::process::exit(130);
        }
        if tell {
            complain("\nstopping: the run is saved first, then measured; Ctrl-C again quits at once");
        }
        // The session may have ended already.
        let _ = commands.try_send(Command::Stop);
    })
    .context("Ctrl-C cannot be caught")?;
    Ok(stopped)
}
