//! Weights from the Hugging Face hub, by the ecosystem's own client and into its usual cache.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use hf_hub::api::Progress;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};
use sha2::{Digest as _, Sha256};

use super::WeightsError;
use super::open::shards;
use crate::platform;

/// What stands before the name of a repository.
pub const HUB: &str = "hub:";
/// Times that a broken download is taken up again before it is left to the next call.
const RETRIES: usize = 3;
/// Files that a repository may hold its weights in, the first that exists counts.
const WEIGHTS: [&str; 3] = ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"];
/// Files beside them that tell of the model, where there are any.
const BESIDE: [&str; 2] = ["config.json", "preprocessor_config.json"];

/// Where to look and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubOptions {
    /// Address of the hub; none for the usual one.
    pub endpoint: Option<String>,
    /// Folder of the cache.
    pub cache: PathBuf,
    /// Token for repositories that are not open to all.
    pub token: Option<String>,
    /// Use the cache alone.
    pub offline: bool,
}

impl HubOptions {
    /// As the variables of the environment say that the hub's other clients follow: `HF_ENDPOINT`, `HF_HUB_CACHE`,
    /// `HF_HOME`, `HF_TOKEN` and `HF_HUB_OFFLINE`.
    pub fn from_env() -> HubOptions {
        let usual = Cache::from_env();
        let yes = |text: String| matches!(text.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on");
        HubOptions {
            endpoint: platform::variable("HF_ENDPOINT").map(|address| address.trim_end_matches('/').to_owned()),
            token: platform::variable("HF_TOKEN").or_else(|| usual.token()),
            cache: platform::variable("HF_HUB_CACHE").map_or_else(|| usual.path().clone(), PathBuf::from),
            offline: platform::variable("HF_HUB_OFFLINE").is_some_and(yes),
        }
    }
}

/// The repository that `spec` names, and its revision: `hub:OWNER/NAME` or `hub:OWNER/NAME@REVISION`.
fn repository(spec: &str) -> Result<Repo, WeightsError> {
    let name = spec.strip_prefix(HUB).unwrap_or(spec);
    let (name, revision) = name.split_once('@').unwrap_or((name, "main"));
    let plain = |text: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        (1..=96).contains(&text.len()) && text.chars().all(known) && !text.starts_with('.') && !text.contains("..")
    };
    let parts: Vec<&str> = name.split('/').collect();
    if parts.len() > 2 || !parts.iter().all(|part| plain(part)) || !revision.split('/').all(plain) {
        let reason = "expected hub:OWNER/NAME or hub:OWNER/NAME@REVISION".to_owned();
        return Err(WeightsError::Hub { repository: spec.to_owned(), reason });
    }
    Ok(Repo::with_revision(name.to_owned(), RepoType::Model, revision.to_owned()))
}

/// What a download reports: the file, bytes done and bytes in all.
pub type Report<'a> = &'a dyn Fn(&str, u64, u64);

/// Passes the client's reports on.
struct Reporter<'a> {
    report: Report<'a>,
    file: String,
    done: u64,
    all: u64,
}

impl Progress for Reporter<'_> {
    fn init(&mut self, size: usize, filename: &str) {
        (self.file, self.done, self.all) = (filename.to_owned(), 0, size as u64);
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        (self.report)(&self.file, self.done, self.all);
    }

    fn finish(&mut self) {}
}

/// A repository that is fetched from.
struct Fetch<'a> {
    spec: &'a str,
    repo: Repo,
    cache: Cache,
    api: Api,
    offline: bool,
    report: Report<'a>,
}

/// Fetches the weights that `spec` names into the cache, unless they are there, and gives the folder that holds them.
///
/// A download that breaks off is taken up where it ended, now or by the next call. What has another SHA-256 than the hub
/// says is deleted.
///
/// # Errors
/// [`WeightsError::Hub`] with the repository and what is wrong.
pub fn fetch(spec: &str, options: &HubOptions, report: Report<'_>) -> Result<PathBuf, WeightsError> {
    let repo = repository(spec)?;
    let cache = Cache::new(options.cache.clone());
    let mut builder = ApiBuilder::from_cache(cache.clone())
        .with_token(options.token.clone())
        .with_retries(RETRIES)
        .with_progress(false);
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    let fail = |error: ApiError| WeightsError::Hub { repository: spec.to_owned(), reason: error.to_string() };
    let api = builder.build().map_err(fail)?;
    Fetch { spec, repo, cache, api, offline: options.offline, report }.weights()
}

impl Fetch<'_> {
    fn fail(&self, reason: String) -> WeightsError {
        WeightsError::Hub { repository: self.spec.to_owned(), reason }
    }

    fn remote(&self) -> ApiRepo {
        self.api.repo(self.repo.clone())
    }

    fn cached(&self, file: &str) -> Option<PathBuf> {
        self.cache.repo(self.repo.clone()).get(file)
    }

    fn weights(&self) -> Result<PathBuf, WeightsError> {
        // What is in the cache is whole: it was checked on its way in.
        let found = WEIGHTS.into_iter().find_map(|file| self.cached(file));
        if let Some(path) = found
            && self.shards(&path)?.iter().all(|shard| self.cached(shard).is_some())
        {
            return Ok(path.with_file_name(""));
        }
        if self.offline {
            let reason = "is not in the cache, and HF_HUB_OFFLINE forbids to fetch it".to_owned();
            return Err(self.fail(reason));
        }
        for file in BESIDE {
            self.download(file)?;
        }
        for file in WEIGHTS {
            let Some(path) = self.download(file)? else { continue };
            for shard in self.shards(&path)? {
                if self.download(&shard)?.is_none() {
                    return Err(self.fail(format!("has no {shard}, which {file} names")));
                }
            }
            return Ok(path.with_file_name(""));
        }
        Err(self.fail(format!("holds no weights; expected one of {}", WEIGHTS.join(", "))))
    }

    /// The files that the index at `path` names; none where it is no index.
    fn shards(&self, path: &Path) -> Result<Vec<String>, WeightsError> {
        if path.extension().is_some_and(|extension| extension == "json") { shards(path) } else { Ok(Vec::new()) }
    }

    /// The file in the cache, fetched where it is not there; `None` where the repository has none such.
    fn download(&self, file: &str) -> Result<Option<PathBuf>, WeightsError> {
        if let Some(path) = self.cached(file) {
            return Ok(Some(path));
        }
        let remote = self.remote();
        let metadata = match self.api.metadata(&remote.url(file)) {
            Ok(metadata) => metadata,
            Err(error) => return self.refused(file, error).map(|()| None),
        };
        let reporter = Reporter { report: self.report, file: file.to_owned(), done: 0, all: metadata.size() as u64 };
        let path = match remote.download_with_progress(file, reporter) {
            Ok(path) => path,
            Err(error) => {
                let how = "what was fetched is kept, and the next try goes on from there";
                return Err(self.fail(format!("{file}: {error}; {how}")));
            }
        };
        match wrong(&path, metadata.etag(), metadata.size() as u64) {
            Ok(None) => Ok(Some(path)),
            wrong => {
                // Nothing may find it there again.
                let blob = path.canonicalize();
                let _ = std::fs::remove_file(&path);
                let _ = blob.map(std::fs::remove_file);
                let reason = match wrong {
                    Ok(Some(reason)) => reason,
                    Err(error) => error.to_string(),
                    Ok(None) => String::new(),
                };
                Err(self.fail(format!("{file}: {reason}; it was deleted")))
            }
        }
    }

    /// Nothing where the repository is there without `file`, else what is wrong.
    fn refused(&self, file: &str, error: ApiError) -> Result<(), WeightsError> {
        let status = match &error {
            ApiError::RequestError(error) => match error.as_ref() {
                ureq::Error::StatusCode(status) => Some(*status),
                _ => None,
            },
            _ => None,
        };
        match status {
            // The hub answers for the repository itself, too.
            Some(404) => match self.remote().info() {
                Ok(_) => Ok(()),
                Err(_) => Err(self.fail("there is no such repository or revision".to_owned())),
            },
            Some(401 | 403) => {
                let how = "accept its terms on its page where it has any, and set HF_TOKEN to a token of yours";
                Err(self.fail(format!("is not open to all or does not exist; {how}")))
            }
            Some(status) => Err(self.fail(format!("{file}: the hub answers with status {status}"))),
            None => Err(self.fail(format!("{file}: {error}"))),
        }
    }
}

/// What is wrong with the file at `path`, which the hub gives the tag `etag` and the length `size`.
fn wrong(path: &Path, etag: &str, size: u64) -> std::io::Result<Option<String>> {
    let mut file = File::open(path)?;
    let found = file.metadata()?.len();
    if found != size {
        return Ok(Some(format!("has {found} bytes, expected {size}")));
    }
    // Large files are tagged with their SHA-256, small ones with a checksum of git's own.
    if etag.len() != 64 || !etag.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(None);
    }
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    let found: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((found != etag.to_ascii_lowercase()).then(|| format!("has the SHA-256 {found}, expected {etag}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_repositories() {
        for (spec, name, revision) in [
            ("hub:facebook/vit-mae-base", "facebook/vit-mae-base", "main"),
            ("hub:timm/vit_base_patch16_224.mae@v1.0", "timm/vit_base_patch16_224.mae", "v1.0"),
            ("hub:gpt2", "gpt2", "main"),
        ] {
            let repo = repository(spec).expect("a repository");
            assert_eq!(
                (repo.folder_name(), repo.revision()),
                (format!("models--{}", name.replace('/', "--")), revision)
            );
        }
        for spec in ["hub:", "hub:a/b/c", "hub:../b", "hub:a/..", "hub:a b/c", "hub:a/b@", "hub:a/b@../../x", "hub:/b"]
        {
            let error = repository(spec).expect_err("no repository").to_string();
            assert!(error.contains(spec) && error.contains("hub:OWNER/NAME"), "{error}");
        }
    }
}
