//! What the cache holds already.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use hf_hub::{Cache, CacheRepo, Repo, RepoType};
use serde::Deserialize;

use super::address::{Address, is_commit, is_file_name};
use super::{HubError, Options};

/// Files that say what the weights are for.
pub(super) const BESIDE: [&str; 2] = ["config.json", "preprocessor_config.json"];

/// Files of weights, the first that exists counts; the same order as weights are opened in.
pub(super) const WEIGHTS: [&str; 4] =
    ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"];

/// Most bytes of a file that is read as a whole.
pub(super) const MOST_JSON: u64 = 64 << 20;

/// The part of the cache for `revision` of a model.
pub(super) fn repo(options: &Options, repo: &str, revision: &str) -> CacheRepo {
    let repo = Repo::with_revision(repo.to_owned(), RepoType::Model, revision.to_owned());
    Cache::new(options.cache.clone()).repo(repo)
}

/// The folder of `address` where it holds all of its weights, else the first file that is missing.
pub(super) fn complete(options: &Options, address: &Address) -> Result<PathBuf, String> {
    let lacking = || WEIGHTS[0].to_owned();
    let commit = match is_commit(&address.revision) {
        true => address.revision.clone(),
        false => {
            let model = options.cache.join(format!("models--{}", address.repo.replace('/', "--")));
            let known = fs::read_to_string(model.join("refs").join(&address.revision));
            known.map(|text| text.trim().to_owned()).ok().filter(|text| is_commit(text)).ok_or_else(lacking)?
        }
    };
    let folder = repo(options, &address.repo, &commit).pointer_path(&commit);
    let weights = WEIGHTS.into_iter().find(|file| folder.join(file).exists()).ok_or_else(lacking)?;
    if weights.ends_with(".index.json") {
        let shards = shards(&address.repo, &folder, weights).map_err(|_| weights.to_owned())?;
        if let Some(missing) = shards.into_iter().find(|shard| !folder.join(shard).exists()) {
            return Err(missing);
        }
    }
    Ok(folder)
}

/// The files that `index` in `folder` names.
///
/// # Errors
/// Where it is no index, or leads out of the folder.
pub(super) fn shards(repo: &str, folder: &Path, index: &str) -> Result<BTreeSet<String>, HubError> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: std::collections::BTreeMap<String, String>,
    }
    let fail = |reason: String| HubError::Transfer { repo: repo.to_owned(), file: index.to_owned(), reason };
    let path = folder.join(index);
    let bytes = fs::metadata(&path).map_err(|error| fail(error.to_string()))?.len();
    if bytes > MOST_JSON {
        return Err(fail(format!("{bytes} bytes; expected at most {MOST_JSON}")));
    }
    let text = fs::read(&path).map_err(|error| fail(error.to_string()))?;
    let index_of: Index = serde_json::from_slice(&text).map_err(|error| fail(error.to_string()))?;
    let shards: BTreeSet<String> = index_of.weight_map.into_values().collect();
    match shards.iter().find(|name| !is_file_name(name)) {
        Some(name) => {
            let name = name.chars().take(200).collect();
            Err(HubError::FileName { repo: repo.to_owned(), index: index.to_owned(), name })
        }
        None => Ok(shards),
    }
}
