//! A hub of one model on this machine: what the real one answers, and what goes wrong on the way.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, Once};
use std::thread;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

/// The commit that `main` is at first.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
pub const REPO: &str = "owner/small-mae";

/// A file of the model, and how it is sent.
#[derive(Clone, Default)]
pub struct Served {
    pub bytes: Vec<u8>,
    /// Kept elsewhere and named by its SHA-256, as large files are.
    pub large: bool,
    /// Each of these ends an answer with content after so many bytes.
    pub cuts: Vec<usize>,
    /// Sent with its last byte changed.
    pub spoilt: bool,
    /// Always sent as a whole, but for the question of how long it is.
    pub no_ranges: bool,
    /// Nothing follows the head of the answer.
    pub stalls: bool,
    /// Instead of the true one.
    pub etag: Option<String>,
}

/// What the model is at the moment.
#[derive(Clone, Default)]
pub struct Model {
    pub files: BTreeMap<String, Served>,
    pub commit: String,
    /// Status and error code of the listing.
    pub refused: Option<(u16, &'static str)>,
    /// The message beside them.
    pub message: &'static str,
    /// Files only for who sends this.
    pub token: Option<&'static str>,
    /// The body of the listing, instead of the true one.
    pub listing: Option<String>,
    /// A redirection to nowhere, for every file.
    pub lost: bool,
}

/// Method, path and range of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub path: String,
    pub range: Option<String>,
}

#[derive(Clone)]
pub struct Hub {
    pub endpoint: String,
    model: Arc<Mutex<Model>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Hub {
    /// Serves the files in a folder of `tests/weights`.
    pub fn of(fixture: &str) -> Hub {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/weights").join(fixture);
        let files = std::fs::read_dir(&folder).expect("a folder").map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let large = !name.ends_with(".json");
            (name, Served { bytes: std::fs::read(path).expect("a file"), large, ..Served::default() })
        });
        Hub::start(Model { files: files.collect(), commit: COMMIT.to_owned(), ..Model::default() })
    }

    pub fn start(model: Model) -> Hub {
        // Proxies that the machine goes through to the world do not lead to itself.
        static DIRECT: Once = Once::new();
        // SAFETY: the standard library, which is what reads the environment here, waits while it is changed; no test asks
        // anybody else for it, as a resolver of names would.
        DIRECT.call_once(|| unsafe { std::env::set_var("NO_PROXY", "127.0.0.1") });
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let hub = Hub { endpoint, model: Arc::new(Mutex::new(model)), asked: Arc::default() };
        let served = hub.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let hub = served.clone();
                // A client that hangs up is what some tests are about.
                thread::spawn(move || hub.answer(stream).ok());
            }
        });
        hub
    }

    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().expect("no test failed with it")
    }

    /// Changes how `file` is served.
    pub fn change(&self, file: &str, change: impl FnOnce(&mut Served)) {
        change(self.model().files.get_mut(file).expect("a file"));
    }

    /// What was asked since the last call.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().expect("no test failed with it"))
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let Some(request) = lines.next().transpose()? else { return Ok(()) };
        let mut headers = BTreeMap::new();
        for line in lines {
            let line = line?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        let range = headers.get("range").cloned();
        self.asked.lock().expect("no test failed with it").push(Asked { path: path.clone(), range: range.clone() });

        let model = self.model().clone();
        let gone = "HTTP/1.1 404 Not Found\r\nx-error-code: EntryNotFound\r\n";
        if let Some(revision) = path.strip_prefix(&format!("/api/models/{REPO}/revision/")) {
            return listing(&mut stream, &model, revision);
        }
        if path.starts_with("/api/models/") {
            return send(&mut stream, "HTTP/1.1 401 Unauthorized\r\nx-error-code: RepoNotFound\r\n", b"");
        }
        let at = |prefix: String| path.strip_prefix(&prefix).and_then(|name| Some((name, model.files.get(name)?)));
        let commit = &model.commit;
        if let Some((name, file)) = at(format!("/{REPO}/resolve/{commit}/")) {
            if model.token.is_some_and(|token| headers.get("authorization") != Some(&format!("Bearer {token}"))) {
                return send(&mut stream, "HTTP/1.1 403 Forbidden\r\nx-error-code: GatedRepo\r\n", b"");
            }
            if model.lost {
                let head = format!("HTTP/1.1 302 Found\r\nx-repo-commit: {commit}\r\netag: \"{}\"\r\n", file.etag());
                return send(&mut stream, &head, b"");
            }
            // Small files come from a path of the hub, large ones from another address.
            let head = match file.large {
                true => format!(
                    "HTTP/1.1 302 Found\r\nx-repo-commit: {commit}\r\nx-linked-etag: \"{}\"\r\nx-linked-size: {}\r\n\
                     Location: {}/elsewhere/{name}\r\n",
                    file.etag(),
                    file.bytes.len(),
                    self.endpoint
                ),
                false => {
                    format!("HTTP/1.1 307 Moved\r\nLocation: /api/resolve-cache/models/{REPO}/{commit}/{name}\r\n")
                }
            };
            return send(&mut stream, &head, b"");
        }
        let found = at("/elsewhere/".to_owned()).or_else(|| at(format!("/api/resolve-cache/models/{REPO}/{commit}/")));
        match found {
            Some((name, file)) => self.send_file(&mut stream, commit, name, file, range.as_deref()),
            None => send(&mut stream, gone, b""),
        }
    }

    fn send_file(
        &self,
        stream: &mut TcpStream,
        commit: &str,
        name: &str,
        file: &Served,
        range: Option<&str>,
    ) -> std::io::Result<()> {
        let all = file.bytes.len();
        let (first, last) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')).unwrap_or(("0", ""));
        let probe = last == "0";
        let first = if file.no_ranges { 0 } else { first.parse().unwrap_or(0) };
        if first >= all {
            return send(stream, "HTTP/1.1 416 Range Not Satisfiable\r\n", b"");
        }
        let mut bytes = file.bytes.clone();
        if let (true, Some(byte)) = (file.spoilt, bytes.last_mut()) {
            *byte ^= 1;
        }
        let end = if probe { 1 } else { all };
        let status = if file.no_ranges && !probe { "200 OK" } else { "206 Partial Content" };
        let mut head = format!(
            "HTTP/1.1 {status}\r\nx-repo-commit: {commit}\r\netag: \"{}\"\r\nContent-Length: {}\r\nConnection: close\r\n",
            file.etag(),
            end - first
        );
        if status.starts_with("206") {
            head += &format!("Content-Range: bytes {first}-{}/{all}\r\n", end - 1);
        }
        stream.write_all((head + "\r\n").as_bytes())?;
        let mut body = &bytes[first..end];
        if !probe {
            if file.stalls {
                thread::sleep(Duration::from_secs(30));
            }
            let mut model = self.model();
            let cuts = &mut model.files.get_mut(name).expect("a file").cuts;
            if !cuts.is_empty() {
                body = &body[..cuts.remove(0).min(body.len())];
            }
        }
        stream.write_all(body)?;
        finish(stream)
    }
}

impl Served {
    pub fn etag(&self) -> String {
        let digest = sha256(&self.bytes);
        // A small file's is that of git, which is no digest of the content alone.
        self.etag.clone().unwrap_or_else(|| if self.large { digest } else { digest[..40].to_owned() })
    }
}

fn listing(stream: &mut TcpStream, model: &Model, revision: &str) -> std::io::Result<()> {
    if let Some((status, code)) = model.refused {
        let head = format!("HTTP/1.1 {status} No\r\nx-error-code: {code}\r\nx-error-message: {}\r\n", model.message);
        return send(stream, &head, b"");
    }
    if !["main", "v1", &model.commit].contains(&revision) {
        return send(stream, "HTTP/1.1 404 Not Found\r\nx-error-code: RevisionNotFound\r\n", b"");
    }
    let names: Vec<_> = model.files.keys().map(|name| serde_json::json!({ "rfilename": name })).collect();
    let body = serde_json::json!({ "id": REPO, "sha": model.commit, "siblings": names }).to_string();
    send(stream, "HTTP/1.1 200 OK\r\n", model.listing.as_ref().unwrap_or(&body).as_bytes())
}

fn send(stream: &mut TcpStream, head: &str, body: &[u8]) -> std::io::Result<()> {
    let length = body.len();
    stream.write_all(format!("{head}Content-Length: {length}\r\nConnection: close\r\n\r\n").as_bytes())?;
    stream.write_all(body)?;
    finish(stream)
}

/// Ends the answer so that what was sent arrives: a closed socket with unread input would be reset.
fn finish(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.shutdown(std::net::Shutdown::Write)?;
    stream.read_to_end(&mut Vec::new()).map(|_| ())
}
