//! One file from the hub into the cache, taken up where it broke, and checked.
//!
//! The client has no limit on time and panics on some answers that a hub never gives, so it works on a thread of its
//! own, and where nothing is heard from there for long the file is given up.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use hf_hub::api::sync::{Api, ApiError, Metadata};
use hf_hub::{Repo, RepoType};
use sha2::{Digest as _, Sha256};

use super::address::is_hex;
use super::cache::{self, MOST_JSON};
use super::{HubError, Options, Progress};

/// What is wanted.
pub(super) struct Download {
    /// The client.
    pub api: Api,
    /// How.
    pub options: Options,
    /// `owner/name`.
    pub repo: String,
    /// Of which commit.
    pub commit: String,
    /// Which file.
    pub file: String,
}

/// What the thread tells.
enum Word {
    Total(u64),
    Bytes(u64),
    End(Result<(), HubError>),
}

#[derive(Clone)]
struct Told(Sender<Word>);

impl Told {
    fn tell(&self, word: Word) {
        // Nobody listens any more where the file was given up.
        let _ = self.0.send(word);
    }
}

impl hf_hub::api::Progress for Told {
    fn init(&mut self, size: usize, _file: &str) {
        self.tell(Word::Total(size as u64));
    }

    fn update(&mut self, size: usize) {
        self.tell(Word::Bytes(size as u64));
    }

    fn finish(&mut self) {}
}

/// Brings a file into the cache.
pub(super) fn download(wanted: Download, progress: &mut dyn FnMut(Progress<'_>)) -> Result<(), HubError> {
    let (file, patience) = (wanted.file.clone(), wanted.options.patience);
    let repo = wanted.repo.clone();
    let failed = |reason: String| HubError::Transfer { repo: repo.clone(), file: file.clone(), reason };
    let (sender, words) = channel();
    let work = move || {
        let told = Told(sender);
        let result = wanted.run(&told);
        told.tell(Word::End(result));
    };
    thread::Builder::new().name("hub".to_owned()).spawn(work).map_err(|error| failed(error.to_string()))?;
    let (mut done, mut total) = (0u64, 0);
    loop {
        match words.recv_timeout(patience) {
            Ok(Word::Total(bytes)) => (done, total) = (0, bytes),
            Ok(Word::Bytes(bytes)) => {
                done = done.saturating_add(bytes);
                progress(Progress { file: &file, done, total });
            }
            Ok(Word::End(result)) => return result,
            Err(RecvTimeoutError::Timeout) => {
                let seconds = patience.as_secs_f64();
                return Err(failed(format!("nothing came for {seconds} s; run again to go on from there")));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(failed("the hub gave an answer that makes no sense".to_owned()));
            }
        }
    }
}

impl Download {
    fn run(&self, told: &Told) -> Result<(), HubError> {
        let repo = Repo::with_revision(self.repo.clone(), RepoType::Model, self.commit.clone());
        let (remote, local) = (self.api.repo(repo), cache::repo(&self.options, &self.repo, &self.commit));
        let url = remote.url(&self.file);
        let (announced, _) = self.patiently(told, || self.api.metadata(&url))?;
        self.expect_sane(&announced)?;
        let pointer = local.pointer_path(&self.commit).join(&self.file);
        let blob = local.blob_path(announced.etag());
        if blob.exists() {
            // Another revision has the same file.
            match self.check(&blob, &announced, told) {
                Ok(()) => return link(&blob, &pointer).map_err(|source| cache_error(&pointer, source)),
                Err(_) => fs::remove_file(&blob).map_err(|source| cache_error(&blob, source))?,
            }
        }
        let part = blob.with_extension("part");
        let mut second = false;
        loop {
            let begun = part.exists();
            let attempt = || {
                // A part that is as long as the whole cannot be gone on with.
                if fs::metadata(&part).is_ok_and(|part| part.len() >= announced.size() as u64) {
                    fs::remove_file(&part)?;
                }
                // A pointer to a blob that is gone would be in the way.
                if pointer.is_symlink() {
                    fs::remove_file(&pointer)?;
                }
                remote.download_with_progress(&self.file, told.clone())
            };
            let (_, again) = self.patiently(told, attempt)?;
            let Err(error) = self.check(&pointer, &announced, told) else { return Ok(()) };
            for wrong in [&pointer, &blob] {
                match fs::remove_file(wrong) {
                    Err(source) if source.kind() != ErrorKind::NotFound => return Err(cache_error(wrong, source)),
                    _ => {}
                }
            }
            // What was put together from pieces may be wrong where the hub sends no ranges: once more as a whole.
            if second || !(begun || again > 0) {
                return Err(error);
            }
            second = true;
        }
    }

    /// Refuses what would lead the client out of the cache, and what is no file of this commit.
    fn expect_sane(&self, announced: &Metadata) -> Result<(), HubError> {
        let etag = announced.etag();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if etag.is_empty() || etag.len() > 128 || !etag.bytes().all(plain) {
            return Err(self.failed("the hub gives it no etag that could name a file".to_owned()));
        }
        if announced.commit_hash() != self.commit {
            return Err(self.failed(format!("the hub gives another commit than {}", self.commit)));
        }
        if self.file.ends_with(".json") && announced.size() as u64 > MOST_JSON {
            return Err(self.failed(format!("{} bytes; expected at most {MOST_JSON}", announced.size())));
        }
        Ok(())
    }

    /// Compares a file with what the hub announced: an etag of 64 digits is the SHA-256 of the content.
    fn check(&self, path: &Path, announced: &Metadata, told: &Told) -> Result<(), HubError> {
        let wrong = |expected: String, got: String| {
            let (repo, file) = (self.repo.clone(), self.file.clone());
            Err(HubError::Checksum { repo, file, expected, got })
        };
        let io = |source| cache_error(path, source);
        let mut file = File::open(path).map_err(io)?;
        let (bytes, expected) = (file.metadata().map_err(io)?.len(), announced.size() as u64);
        if bytes != expected {
            return wrong(format!("{expected} bytes"), format!("{bytes}"));
        }
        let expected = announced.etag();
        if expected.len() != 64 || !is_hex(expected) {
            return Ok(());
        }
        let (mut hash, mut piece) = (Sha256::new(), vec![0; 1 << 20]);
        loop {
            match file.read(&mut piece).map_err(io)? {
                0 => break,
                count => hash.update(&piece[..count]),
            }
            told.tell(Word::Bytes(0));
        }
        let got: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if got == expected { Ok(()) } else { wrong(format!("SHA-256 {expected}"), got) }
    }

    /// Makes `attempt` anew where it failed for reasons that pass. Returns how often that was needed, too.
    fn patiently<T>(
        &self,
        told: &Told,
        mut attempt: impl FnMut() -> Result<T, ApiError>,
    ) -> Result<(T, u32), HubError> {
        let mut again = 0;
        loop {
            told.tell(Word::Bytes(0));
            match attempt() {
                Ok(value) => return Ok((value, again)),
                Err(error) if again < self.options.retries && passes(&error) => {
                    log::info!("hub:{}: {}: {error}; once more", self.repo, self.file);
                    thread::sleep(Duration::from_millis(250 << again.min(5)));
                    again += 1;
                }
                Err(error) => return Err(self.explained(&error)),
            }
        }
    }

    fn explained(&self, error: &ApiError) -> HubError {
        let (repo, endpoint) = (self.repo.clone(), self.options.endpoint.clone());
        match error {
            ApiError::RequestError(error) if matches!(**error, ureq::Error::StatusCode(401 | 403)) => {
                HubError::Gated { repo, endpoint }
            }
            ApiError::LockAcquisition(_) => self.failed("another program is fetching it now".to_owned()),
            _ => self.failed(error.to_string()),
        }
    }

    fn failed(&self, reason: String) -> HubError {
        HubError::Transfer { repo: self.repo.clone(), file: self.file.clone(), reason }
    }
}

/// Whether trying again may help.
fn passes(error: &ApiError) -> bool {
    use ureq::Error as Request;
    match error {
        ApiError::RequestError(error) => match &**error {
            Request::StatusCode(status) => matches!(status, 408 | 429 | 500..),
            Request::Io(_) | Request::Protocol(_) | Request::Timeout(_) => true,
            Request::HostNotFound | Request::ConnectionFailed => true,
            _ => false,
        },
        ApiError::IoError(error) => {
            use ErrorKind::{PermissionDenied, ReadOnlyFilesystem, StorageFull};
            !matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem | StorageFull)
        }
        ApiError::LockAcquisition(_) => true,
        _ => false,
    }
}

/// Shows the file `blob` at `pointer` too, as the hub's clients do.
fn link(blob: &Path, pointer: &Path) -> std::io::Result<()> {
    if let Some(folder) = pointer.parent() {
        fs::create_dir_all(folder)?;
    }
    if pointer.is_symlink() {
        fs::remove_file(pointer)?;
    }
    #[cfg(unix)]
    if let Some(name) = blob.file_name() {
        return std::os::unix::fs::symlink(Path::new("../../blobs").join(name), pointer);
    }
    fs::hard_link(blob, pointer)
}

fn cache_error(path: &Path, source: std::io::Error) -> HubError {
    HubError::Cache { path: path.display().to_string(), source }
}
