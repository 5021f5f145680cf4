//! Weights as the user names them: a path, or a model on the hub.

use std::path::{Path, PathBuf};

use anyhow::bail;
use indicatif::ProgressBar;

use super::args::Common;
use super::progress::byte_bar;
use crate::hub::{Address, Options, PREFIX, fetch};

/// Endings of files of weights, which names of models have not.
const FILES: [&str; 5] = ["safetensors", "pth", "pt", "bin", "json"];

/// Where the weights that `named` tells lie: `hub:owner/name` is fetched first, with a bar; any other path is left as it
/// is.
///
/// # Errors
/// A path where nothing lies and that may have been meant for a model on the hub, and those of fetching.
pub fn local(common: &Common, named: &Path) -> anyhow::Result<PathBuf> {
    let Some(address) = named.to_str().filter(|text| text.starts_with(PREFIX)) else {
        match meant(named) {
            Some(address) => bail!("{}: no such file or folder; did you mean {address}?", named.display()),
            None => return Ok(named.to_owned()),
        }
    };
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

/// The model on the hub that `named`, where nothing lies, may have been meant for.
fn meant(named: &Path) -> Option<Address> {
    let is_file = named.extension().is_some_and(|ending| FILES.iter().any(|known| ending == *known));
    // In a folder that is there a name was mistyped.
    let in_folder = named.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && folder.exists());
    if is_file || in_folder || named.exists() {
        return None;
    }
    Address::meant(named.to_str()?, &Options::from_env().ok()?.endpoint)
}
