//! A model from the hub, or from the cache where that will do.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use hf_hub::api::sync::{Api, ApiBuilder};
use hf_hub::{Cache, Repo, RepoType};

use super::address::is_commit;
use super::cache::{self, BESIDE, WEIGHTS, complete};
use super::download::{Download, download};
use super::listing::{Failed, listing};
use super::{Address, HubError, Options};

/// How far a file is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Its name.
    pub file: &'a str,
    /// Bytes that are here.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// A model that lies in the cache.
#[derive(Debug)]
pub struct Fetched {
    /// Folder with its files.
    pub folder: PathBuf,
    /// Why the hub was not asked, where it should have been: the files may be old.
    pub stale: Option<String>,
}

/// Brings the weights of `address` and what describes them into the cache, unless they are there; `progress` is told
/// of bytes as they come.
///
/// # Errors
/// [`HubError`].
pub fn fetch(
    options: &Options,
    address: &Address,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Fetched, HubError> {
    let cached = complete(options, address);
    match &cached {
        Ok(folder) if options.offline => return Ok(Fetched { folder: folder.clone(), stale: None }),
        Err(file) if options.offline => {
            let (address, file) = (address.to_string(), file.clone());
            return Err(HubError::Offline { address, file, cache: options.cache.display().to_string() });
        }
        // A commit never changes.
        Ok(folder) if is_commit(&address.revision) && folder.join(BESIDE[0]).exists() => {
            return Ok(Fetched { folder: folder.clone(), stale: None });
        }
        _ => {}
    }
    let api = client(options).map_err(|error| HubError::Transfer {
        repo: address.repo.clone(),
        file: "client".to_owned(),
        reason: error.to_string(),
    })?;
    let asked = Repo::with_revision(address.repo.clone(), RepoType::Model, address.revision.clone());
    let listing = match (listing(&api.repo(asked), options, address), cached) {
        (Ok(listing), _) => listing,
        (Err(Failed::Refused(error)), _) => return Err(error),
        (Err(Failed::Unreachable(reason)), Ok(folder)) => return Ok(Fetched { folder, stale: Some(reason) }),
        (Err(Failed::Unreachable(reason)), Err(file)) => {
            return Err(HubError::Unreachable { address: address.to_string(), file, reason });
        }
    };

    let commit = &listing.commit;
    let local = cache::repo(options, &address.repo, commit);
    let folder = local.pointer_path(commit);
    let mut bring = |file: &str| match folder.join(file).exists() {
        true => Ok(()),
        false => {
            let (repo, commit, file) = (address.repo.clone(), commit.clone(), file.to_owned());
            let (api, options) = (api.clone(), options.clone());
            download(Download { api, options, repo, commit, file }, progress)
        }
    };
    let weights = WEIGHTS
        .into_iter()
        .find(|file| listing.files.contains(*file))
        .ok_or_else(|| HubError::NoWeights { address: address.to_string(), expected: WEIGHTS.join(", ") })?;
    for file in BESIDE.into_iter().filter(|file| listing.files.contains(*file)) {
        bring(file)?;
    }
    bring(weights)?;
    let shards = match weights.ends_with(".index.json") {
        true => cache::shards(&address.repo, &folder, weights)?,
        false => BTreeSet::new(),
    };
    shards.iter().try_for_each(|shard| bring(shard))?;

    // The client keeps a reference named by the commit; others look for the branch, and only whole models have one.
    if !is_commit(&address.revision) {
        let path = || options.cache.display().to_string();
        cache::repo(options, &address.repo, &address.revision)
            .create_ref(commit)
            .map_err(|source| HubError::Cache { path: path(), source })?;
    }
    forget_commit(&folder, commit);
    Ok(Fetched { folder, stale: None })
}

/// Removes the reference `refs/COMMIT` beside the snapshot at `folder`.
fn forget_commit(folder: &Path, commit: &str) {
    if let Some(model) = folder.parent().and_then(Path::parent) {
        // It does no harm where it stays.
        let _ = fs::remove_file(model.join("refs").join(commit));
    }
}

/// The ecosystem's client, without retries of its own: those go wrong where a broken file is taken up twice.
fn client(options: &Options) -> Result<Api, hf_hub::api::sync::ApiError> {
    ApiBuilder::from_cache(Cache::new(options.cache.clone()))
        .with_endpoint(options.endpoint.clone())
        .with_token(options.token.clone())
        .with_progress(false)
        .with_retries(0)
        .with_user_agent("unmask", env!("CARGO_PKG_VERSION"))
        .build()
}
