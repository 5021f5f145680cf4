//! Compiles every linked shader, in every size that an op makes of it, in a real browser, because naga accepts WGSL that a
//! browser's compiler refuses (a barrier in control flow that is not uniform, for one).
//!
//! The test serves a page to a headless Chromium with WebGPU on SwiftShader. The page makes a module of each,
//! and pipelines, on a device with WebGPU's default limits, and posts what the browser said.

#[path = "common/left_out.rs"]
mod left_out;

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use unmask::{ops, shaders};

/// Far above what it takes anywhere, so that only a browser that hangs is told of.
const TIMEOUT: Duration = Duration::from_secs(1200);

/// A shader that naga may let pass and a browser must refuse: if this one compiles, the test tests nothing.
const CONTROL: &str = "control: a barrier that not all invocations reach";
const CONTROL_SOURCE: &str = "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
var<workgroup> shared_sum: u32;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if (x[id.x] > 7u) {
        workgroupBarrier();
        shared_sum = 1u;
    }
    x[id.x] = shared_sum;
}
";

/// What the page's build leaves out.
const NATIVE_ONLY: &str = "enable wgpu_cooperative_matrix;";

/// A shader with the line by which browsers enable subgroups; naga has them without, and refuses the line.
fn for_browsers(name: String, source: &str, pipeline: bool) -> Shader {
    let enable = if name.contains("+WITH_SUBGROUPS") { "enable subgroups;\n" } else { "" };
    Shader { name, source: format!("{enable}{source}"), pipeline }
}

/// Every linked shader, and every one that an op makes for one size. These make no pipelines: that takes SwiftShader a
/// second each, and what depends on sizes there, the limits of a workgroup, `tests/shaders.rs` checks.
fn kernels() -> Vec<Shader> {
    let linked = shaders::all().into_iter().filter(|linked| !linked.source.contains(NATIVE_ONLY));
    let linked = linked.map(|linked| for_browsers(linked.name, &linked.source, true));
    let specialised = ops::specialised().into_iter().filter(|key| key.shader != "matmul_cooperative").map(|key| {
        let name = key.to_string();
        let source = key.source().unwrap_or_else(|error| panic!("{name}: {error}"));
        for_browsers(name, &source, false)
    });
    linked.chain(specialised).collect()
}

const PAGE: &str = r#"<!doctype html>
<meta charset="utf-8">
<title>shaders</title>
<script type="module">
const post = (path, body) => fetch(path, { method: "POST", body });

// Optional features that a module asks for by `enable`, and what WebGPU calls them.
const FEATURES = { f16: "shader-f16", subgroups: "subgroups" };

async function compile(device, { name, source, pipeline }) {
    const enabled = [...source.matchAll(/^\s*enable\s+([^;]+);/gm)].flatMap(m => m[1].split(",").map(s => s.trim()));
    const missing = enabled.map(e => FEATURES[e]).filter(f => f && !device.features.has(f));
    if (missing.length) return { name, status: "skipped", messages: [`needs ${missing.join(", ")}`] };

    const lines = source.split("\n");
    // Scopes end before anything is waited for, so that they hold nothing of what compiles beside.
    device.pushErrorScope("internal");
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ label: name, code: source });
    const scopes = [device.popErrorScope(), device.popErrorScope()];
    const { messages: notes } = await module.getCompilationInfo();
    const messages = notes.map(m => `${m.type} at ${m.lineNum}:${m.linePos}: ${m.message} | ${lines[m.lineNum - 1] ?? ""}`);
    let failed = notes.some(m => m.type === "error");
    if (pipeline && !failed) {
        try {
            await device.createComputePipelineAsync({ layout: "auto", compute: { module, entryPoint: "main" } });
        } catch (error) {
            failed = true;
            messages.push(`pipeline: ${error.message}`);
        }
    }
    for (const error of await Promise.all(scopes)) {
        // A failure told already comes again here.
        if (error && !failed) {
            failed = true;
            messages.push(error.message);
        }
    }
    return { name, status: failed ? "failed" : "ok", messages };
}

async function run() {
    if (!navigator.gpu) throw new Error("this browser has no WebGPU");
    const adapter = await navigator.gpu.requestAdapter();
    if (!adapter) throw new Error("the browser found no WebGPU adapter");
    const requiredFeatures = Object.values(FEATURES).filter(f => adapter.features.has(f));
    const device = await adapter.requestDevice({ requiredFeatures });
    let lost = null;
    device.lost.then(info => { lost = info.message; });
    const all = await (await fetch("/shaders.json")).json();
    const shaders = new Array(all.length);
    const underWay = new Set();
    let next = 0;
    // The browser makes pipelines on threads of its own, each on one.
    const worker = async () => {
        while (next < all.length) {
            const at = next++;
            underWay.add(all[at].name);
            const names = [...underWay].join(", ");
            await post("/begun", names);
            shaders[at] = await compile(device, all[at]);
            underWay.delete(all[at].name);
            if (lost !== null) throw new Error(`the device was lost at ${names}: ${lost}`);
        }
    };
    await Promise.all(Array.from({ length: navigator.hardwareConcurrency }, worker));
    return { adapter: `${adapter.info.vendor} ${adapter.info.architecture} ${adapter.info.description}`.trim(), shaders };
}

run().catch(error => ({ error: String(error) })).then(result => post("/result", JSON.stringify(result)));
</script>
"#;

#[derive(Serialize)]
struct Shader {
    name: String,
    source: String,
    /// Whether a pipeline is made of it too.
    pipeline: bool,
}

#[derive(Deserialize)]
struct Report {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    adapter: String,
    #[serde(default)]
    shaders: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    name: String,
    status: Status,
    messages: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Skipped,
    Failed,
}

/// A running browser with a profile of its own; both are gone when this is dropped, also after a panic.
struct Browser {
    process: Child,
    home: PathBuf,
    stderr: PathBuf,
}

impl Browser {
    fn start(program: &Path, url: &str) -> Browser {
        let home = tempfile::Builder::new().prefix("unmask-browser-").tempdir().expect("a temporary folder");
        let stderr = home.path().join("stderr.txt");
        let process = Command::new(program)
            .args(["--headless", "--no-sandbox", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"])
            .arg(format!("--user-data-dir={}", home.path().join("profile").display()))
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&stderr).expect("a file for stderr"))
            .spawn()
            .unwrap_or_else(|error| panic!("{} did not start: {error}", program.display()));
        Browser { process, home: home.keep(), stderr }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_else(|error| error.to_string())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
        // Its helper processes notice a moment later, and write until then.
        for _ in 0..50 {
            if fs::remove_dir_all(&self.home).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
    }
}

fn find_browser() -> Option<PathBuf> {
    if let Some(program) = std::env::var_os("UNMASK_CHROMIUM").filter(|program| !program.is_empty()) {
        return Some(program.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)))
        .find(|program| program.is_file())
}

/// What the page asks for and tells, shared by all connections.
struct Site {
    shaders: String,
    begun: Mutex<String>,
    results: Mutex<mpsc::Sender<String>>,
}

impl Site {
    /// Answers the one request of a connection.
    fn answer(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        // Browsers open connections in advance and say nothing on them.
        stream.set_read_timeout(Some(TIMEOUT))?;
        let mut reader = BufReader::new(&stream);
        let mut request = String::new();
        reader.read_line(&mut request)?;
        let mut length = 0;
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let body = String::from_utf8(body).map_err(io::Error::other)?;

        let route: Vec<&str> = request.split_whitespace().take(2).collect();
        let (status, kind, content) = match route.as_slice() {
            ["GET", "/"] => ("200 OK", "text/html", PAGE),
            ["GET", "/shaders.json"] => ("200 OK", "application/json", self.shaders.as_str()),
            ["POST", "/begun"] => {
                *self.begun.lock().expect("no panic") = body;
                ("200 OK", "text/plain", "")
            }
            ["POST", "/result"] => {
                // The receiver is gone once a result has come.
                let _ = self.results.lock().expect("no panic").send(body);
                ("200 OK", "text/plain", "")
            }
            _ => ("404 Not Found", "text/plain", ""),
        };
        write!(
            &stream,
            "HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{content}",
            content.len()
        )
    }
}

/// Compiles `shaders` in the browser `program`.
fn compile(program: &Path, shaders: &[Shader]) -> Report {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let (results, result) = mpsc::channel();
    let site = Arc::new(Site {
        shaders: serde_json::to_string(shaders).expect("JSON"),
        begun: Mutex::default(),
        results: Mutex::new(results),
    });
    let server = site.clone();
    // Neither this thread nor those of open connections are joined: they end with the test.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let site = server.clone();
            // A connection that breaks shows as a result that does not come.
            thread::spawn(move || site.answer(stream));
        }
    });

    let mut browser = Browser::start(program, &url);
    let start = Instant::now();
    loop {
        match result.recv_timeout(Duration::from_millis(200)) {
            Ok(text) => return serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in: {text}")),
            Err(_) => {
                let ended = browser.process.try_wait().expect("a child");
                let why = match ended {
                    Some(status) => format!("the browser ended ({status})"),
                    None if start.elapsed() > TIMEOUT => format!("no result after {} s", TIMEOUT.as_secs()),
                    None => continue,
                };
                let begun = site.begun.lock().expect("no panic").clone();
                panic!("{why}; shaders under way: {begun:?}; {} said:\n{}", program.display(), browser.said());
            }
        }
    }
}

#[test]
fn every_shader_compiles_in_a_browser() {
    let Some(program) = find_browser() else {
        let skip = std::env::var("UNMASK_NO_BROWSER").is_ok_and(|value| value == "1");
        assert!(
            skip,
            "no browser to compile the shaders in. Install one (Debian and Ubuntu: `apt-get install chromium`), name \
             one in UNMASK_CHROMIUM, or set UNMASK_NO_BROWSER=1 to do without this test"
        );
        return left_out::left_out("shaders in a browser: none was found, and UNMASK_NO_BROWSER=1");
    };
    let mut shaders = kernels();
    assert!(!shaders.is_empty());
    shaders.push(Shader { name: CONTROL.to_owned(), source: CONTROL_SOURCE.to_owned(), pipeline: true });

    let report = compile(&program, &shaders);
    assert!(report.error.is_none(), "{}: {}", program.display(), report.error.unwrap_or_default());
    let names: Vec<&str> = report.shaders.iter().map(|outcome| outcome.name.as_str()).collect();
    assert_eq!(names, shaders.iter().map(|shader| shader.name.as_str()).collect::<Vec<_>>());

    let count = |status| report.shaders.iter().filter(|outcome| outcome.status == status).count();
    println!("{}: {} shaders compiled, {} skipped", report.adapter, count(Status::Ok), count(Status::Skipped));
    let mut failures = String::new();
    for outcome in &report.shaders {
        let text = format!("{} {:?}: {}\n", outcome.name, outcome.status, outcome.messages.join("\n    "));
        match outcome.status {
            Status::Failed if outcome.name != CONTROL => failures.push_str(&text),
            // Also what a browser only warns of is worth reading.
            _ if !outcome.messages.is_empty() && outcome.name != CONTROL => print!("{text}"),
            _ => {}
        }
    }
    assert!(failures.is_empty(), "shaders that a browser refuses:\n{failures}");
    let control = report.shaders.last().expect("the control");
    assert!(
        control.status == Status::Failed && control.messages.iter().any(|message| message.contains("uniform")),
        "the browser let the control pass: {:?} {:?}",
        control.status,
        control.messages
    );
}
