//! Weights as the user names them: a path, or a model on the hub.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use indicatif::ProgressBar;

use super::args::Common;
use super::progress::byte_bar;
use crate::hub::{Address, Options, PREFIX, fetch};
use crate::train::RunFolder;

/// Where the weights that `named` tells lie: `hub:owner/name` is fetched first, with a bar; of a run's folder it is the
/// best checkpoint, or where there is none the newest; any other path is left as it is.
pub fn local(common: &Common, named: &Path) -> anyhow::Result<PathBuf> {
    if RunFolder::recipe(named).is_ok() {
        let newest = || Ok(RunFolder::newest(named)?.map(|(file, _)| file));
        let none = || format!("{}: nothing was saved yet; expected a file in checkpoints/", named.display());
        return RunFolder::best(named).map_or_else(newest, |best| anyhow::Ok(Some(best)))?.with_context(none);
    }
    let Some(address) = named.to_str().filter(|text| text.starts_with(PREFIX)) else { return Ok(named.to_owned()) };
    let mut shown: Option<(String, ProgressBar)> = None;
    let fetched = fetch(&Options::from_env()?, &Address::parse(address)?, &mut |progress| {
        if progress.total == 0 {
            return;
        }
        match &shown {
            Some((file, bar)) if file == progress.file => bar.set_position(progress.done),
            _ => {
                if let Some((_, bar)) = shown.take() {
                    bar.finish();
                }
                let bar = byte_bar(common, progress.file, progress.total);
                bar.set_position(progress.done);
                shown = Some((progress.file.to_owned(), bar));
            }
        }
    });
    if let Some((_, bar)) = &shown {
        if fetched.is_ok() { bar.finish() } else { bar.abandon() }
    }
    let fetched = fetched?;
    if let Some(reason) = fetched.stale {
        log::warn!("{reason}; {address} is taken from the cache as it lies there");
    }
    Ok(fetched.folder)
}
