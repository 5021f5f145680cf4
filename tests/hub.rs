//! Weights from a hub: a server in this process stands in for it.
#![cfg(feature = "hub")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use sha2::{Digest as _, Sha256};
use unmask::train::{Hints, Opened};
use unmask::weights::hub::{HubOptions, fetch};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A file of a repository, and the tag that the hub gives it.
type File = (Vec<u8>, String);

#[derive(Default)]
struct State {
    files: BTreeMap<String, File>,
    /// Downloads that break off in the middle before one does not.
    cuts: usize,
    /// Status of every answer instead of files.
    status: Option<u16>,
    /// First line of each request, with the wanted range.
    requests: Vec<String>,
}

/// A hub with one repository, `owner/name`.
struct Hub {
    address: String,
    state: Arc<Mutex<State>>,
    cache: tempfile::TempDir,
}

fn tagged(bytes: Vec<u8>) -> File {
    let tag: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    (bytes, tag)
}

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/weights/transformers5").join(name);
    fs::read(path).expect("a fixture")
}

impl Hub {
    /// With the files of a small model.
    fn new() -> Hub {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(Mutex::new(State::default()));
        for name in ["config.json", "model.safetensors"] {
            let file = tagged(fixture(name));
            state.lock().expect("unpoisoned").files.insert(name.to_owned(), file);
        }
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // A client that goes away is part of the tests.
                let _ = answer(stream, &shared);
            }
        });
        Hub { address, state, cache: tempfile::tempdir().expect("a folder") }
    }

    fn options(&self) -> HubOptions {
        HubOptions {
            endpoint: Some(self.address.clone()),
            cache: self.cache.path().to_owned(),
            token: Some("a-token".to_owned()),
            offline: false,
        }
    }

    fn set<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().expect("unpoisoned"))
    }

    fn fetch(&self) -> Result<PathBuf, String> {
        fetch("hub:owner/name", &self.options(), &|_, _, _| ()).map_err(|error| error.to_string())
    }

    /// Requests since the last time.
    fn requests(&self) -> Vec<String> {
        self.set(|state| std::mem::take(&mut state.requests))
    }

    /// Files in the cache that hold what was fetched.
    fn blobs(&self) -> Vec<PathBuf> {
        let blobs = self.cache.path().join("models--owner--name/blobs");
        let files = fs::read_dir(blobs).into_iter().flatten().map(|entry| entry.expect("an entry").path());
        files.filter(|path| path.extension().is_none_or(|extension| extension != "lock")).collect()
    }
}

fn answer(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let mut range = None;
    for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("range")
        {
            range = Some(value.trim_start_matches("bytes=").to_owned());
        }
    }
    let mut state = state.lock().expect("unpoisoned");
    state.requests.push(format!("{request} {}", range.as_deref().unwrap_or_default()));
    let path = request.split(' ').nth(1).unwrap_or_default();
    let mut stream = stream;
    let mut say = |status: u16, headers: &str, length: usize, body: &[u8]| {
        let head = format!(
            "HTTP/1.1 {status} X\r\nConnection: close\r\nX-Repo-Commit: {COMMIT}\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)
    };
    if let Some(status) = state.status {
        return say(status, "", 0, b"");
    }
    if path.starts_with("/api/models/owner/name/") {
        let body = format!("{{\"sha\": \"{COMMIT}\", \"siblings\": []}}");
        return say(200, "", body.len(), body.as_bytes());
    }
    let name = path.strip_prefix("/owner/name/resolve/main/").unwrap_or_default();
    let Some((bytes, tag)) = state.files.get(name).cloned() else { return say(404, "", 0, b"") };
    let (first, last) = range.as_deref().and_then(|range| range.split_once('-')).expect("a range");
    let first: usize = first.parse().expect("a number");
    let last = last.parse().map_or(bytes.len(), |last: usize| last + 1);
    let body = &bytes[first.min(bytes.len())..last];
    let cut = state.cuts > 0 && body.len() > 1 && name.ends_with(".safetensors");
    state.cuts -= usize::from(cut);
    let headers = format!("ETag: \"{tag}\"\r\nContent-Range: bytes {first}-{}/{}\r\n", last - 1, bytes.len());
    say(206, &headers, body.len(), if cut { &body[..body.len() / 2] } else { body })
}

#[test]
fn weights_are_fetched_once_into_the_usual_layout() {
    let hub = Hub::new();
    let folder = hub.fetch().expect("fetched");
    assert_eq!(folder, hub.cache.path().join(format!("models--owner--name/snapshots/{COMMIT}/")));
    assert_eq!(
        fs::read_to_string(hub.cache.path().join("models--owner--name/refs/main")).expect("a reference"),
        COMMIT
    );
    assert_eq!(fs::read(folder.join("model.safetensors")).expect("weights"), fixture("model.safetensors"));
    let model = Opened::open(&folder, &Hints::default()).expect("a model");
    assert_eq!((model.config.heads, model.weights.has_decoder()), (2, true));
    assert!(hub.requests().iter().any(|request| request.contains("preprocessor_config.json")));
    assert_eq!(hub.fetch().expect("cached"), folder);
    assert_eq!(hub.requests(), [""; 0], "the second time nothing is asked for");
}

#[test]
fn a_broken_download_is_taken_up_where_it_ended() {
    let hub = Hub::new();
    let size = fixture("model.safetensors").len();
    // Twice within one call.
    hub.set(|state| state.cuts = 2);
    let folder = hub.fetch().expect("fetched in the end");
    assert_eq!(fs::read(folder.join("model.safetensors")).expect("weights"), fixture("model.safetensors"));
    let asked: Vec<String> = hub.requests().into_iter().filter(|line| line.contains("safetensors HTTP")).collect();
    let from: Vec<&str> = asked.iter().filter_map(|line| line.split(' ').next_back()).collect();
    assert!(from.contains(&format!("{}-", size / 2).as_str()), "{from:?}");

    // More often than a call tries: the next one goes on.
    let hub = Hub::new();
    hub.set(|state| state.cuts = 5);
    let error = hub.fetch().expect_err("given up");
    assert!(error.contains("hub:owner/name: model.safetensors: ") && error.contains("goes on from there"), "{error}");
    hub.requests();
    hub.set(|state| state.cuts = 0);
    let folder = hub.fetch().expect("fetched in the end");
    assert_eq!(fs::read(folder.join("model.safetensors")).expect("weights"), fixture("model.safetensors"));
    let again = hub.requests();
    assert!(!again.iter().any(|line| line.contains("safetensors") && line.ends_with(" 0-")), "{again:?}");
}

#[test]
fn a_wrong_checksum_leaves_nothing_behind() {
    let hub = Hub::new();
    let mut bytes = fixture("model.safetensors");
    let (_, tag) = tagged(bytes.clone());
    *bytes.last_mut().expect("bytes") ^= 1;
    let (_, found) = tagged(bytes.clone());
    hub.set(|state| state.files.insert("model.safetensors".to_owned(), (bytes, tag.clone())));
    let error = hub.fetch().expect_err("altered");
    let want = format!("hub:owner/name: model.safetensors: has the SHA-256 {found}, expected {tag}; it was deleted");
    assert_eq!(error, want);
    assert!(hub.blobs().iter().all(|path| !path.ends_with(&tag)), "{:?}", hub.blobs());
    hub.set(|state| state.files.insert("model.safetensors".to_owned(), tagged(fixture("model.safetensors"))));
    assert!(hub.fetch().is_ok(), "once the hub has the right bytes they are fetched");
}

#[test]
fn offline_the_cache_serves() {
    let hub = Hub::new();
    let offline = HubOptions { offline: true, ..hub.options() };
    let error = fetch("hub:owner/name", &offline, &|_, _, _| ()).expect_err("nothing there").to_string();
    assert_eq!(error, "hub:owner/name: is not in the cache, and HF_HUB_OFFLINE forbids to fetch it");
    assert!(hub.requests().is_empty());
    let folder = hub.fetch().expect("fetched");
    assert_eq!(fetch("hub:owner/name", &offline, &|_, _, _| ()).expect("cached"), folder);
    let nowhere = HubOptions { endpoint: Some("http://127.0.0.1:9".to_owned()), ..hub.options() };
    assert_eq!(fetch("hub:owner/name", &nowhere, &|_, _, _| ()).expect("cached"), folder);
    let error = fetch("hub:owner/other", &nowhere, &|_, _, _| ()).expect_err("unreachable").to_string();
    assert!(error.starts_with("hub:owner/other: config.json: "), "{error}");
}

#[test]
fn what_is_not_there_or_not_open_is_told() {
    let hub = Hub::new();
    let error = fetch("hub:owner/none", &hub.options(), &|_, _, _| ()).expect_err("unknown").to_string();
    assert_eq!(error, "hub:owner/none: there is no such repository or revision");
    hub.set(|state| state.files.clear());
    let error = hub.fetch().expect_err("empty");
    assert!(error.starts_with("hub:owner/name: holds no weights; expected one of model.safetensors, "), "{error}");
    for (status, want) in [(401, "set HF_TOKEN"), (403, "set HF_TOKEN"), (503, "answers with status 503")] {
        hub.set(|state| state.status = Some(status));
        let error = hub.fetch().expect_err("refused");
        assert!(error.starts_with("hub:owner/name: ") && error.contains(want), "{error}");
    }
}

#[test]
fn an_index_brings_its_shards_and_nothing_from_elsewhere() {
    let hub = Hub::new();
    let index = |file: &str| tagged(format!("{{\"weight_map\": {{\"vit.x\": \"{file}\"}}}}").into_bytes());
    hub.set(|state| {
        let model = state.files.remove("model.safetensors").expect("weights");
        state.files.insert("model-00001-of-00001.safetensors".to_owned(), model);
        state.files.insert("model.safetensors.index.json".to_owned(), index("model-00001-of-00001.safetensors"));
    });
    let folder = hub.fetch().expect("fetched");
    assert!(folder.join("model-00001-of-00001.safetensors").exists());
    for file in ["../../evil", "/etc/passwd", "a/b"] {
        let hub = Hub::new();
        hub.set(|state| {
            state.files.remove("model.safetensors");
            state.files.insert("model.safetensors.index.json".to_owned(), index(file));
        });
        let error = hub.fetch().expect_err("elsewhere");
        assert!(error.contains("is no file beside it"), "{error}");
    }
}

#[test]
fn the_program_fetches_by_the_variables_of_the_hub_s_clients() {
    let hub = Hub::new();
    let out = hub.cache.path().join("out.safetensors");
    let convert = |offline: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_unmask"));
        command.args(["convert", "hub:owner/name", "--to", "native"]).arg(&out);
        command.env("HF_ENDPOINT", &hub.address).env("HF_HOME", hub.cache.path()).env("HF_HUB_OFFLINE", offline);
        command.env_remove("HF_HUB_CACHE").output().expect("the program")
    };
    let refused = convert("1");
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("HF_HUB_OFFLINE forbids"));
    let done = convert("0");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(out.exists() && hub.cache.path().join("hub/models--owner--name").exists());
    assert!(convert("1").status.success(), "from the cache");
}
