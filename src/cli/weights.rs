//! Weights that a user names: a path, or a repository on the Hugging Face hub.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use super::args::Common;
use super::progress::{bytes_bar, say};
use crate::weights::hub::{HUB, HubOptions, fetch};

/// The path of the weights `spec`, fetched where it begins with `hub:`.
pub fn local(common: &Common, spec: &Path) -> anyhow::Result<PathBuf> {
    let Some(name) = spec.to_str().filter(|spec| spec.starts_with(HUB)) else { return Ok(spec.to_owned()) };
    let bar = RefCell::new(None);
    let folder = fetch(name, &HubOptions::from_env(), &|file, done, all| {
        let mut bar = bar.borrow_mut();
        let (_, bar) = match bar.take() {
            Some((current, shown)) if current == file => bar.insert((current, shown)),
            _ => bar.insert((file.to_owned(), bytes_bar(common, file, all))),
        };
        bar.set_position(done);
    });
    if let Some((_, bar)) = bar.into_inner() {
        bar.finish_and_clear();
    }
    let folder = folder?;
    say(common, format_args!("weights   {}", folder.display()));
    Ok(folder)
}
