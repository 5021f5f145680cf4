//! Models from the hub: fetched from a small one on this machine, with everything that happens on the way.

mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use server::{COMMIT, Hub, Model, REPO, sha256};
use unmask::hub::{Address, Fetched, HubError, Options, fetch};
use unmask::train::{Hints, Opened};

const WEIGHTS: &str = "model.safetensors";

/// Options for `hub` with a cache in `folder`, and less patience than people have.
fn options(hub: &Hub, folder: &Path) -> Options {
    let patience = Duration::from_secs(20);
    Options { endpoint: hub.endpoint.clone(), patience, ..Options::new(folder.join("hub")) }
}

fn get(options: &Options) -> Result<Fetched, HubError> {
    get_at(options, "main")
}

fn get_at(options: &Options, revision: &str) -> Result<Fetched, HubError> {
    fetch(options, &Address::parse(&format!("hub:{REPO}@{revision}")).expect("an address"), &mut |_| {})
}

fn error(options: &Options) -> String {
    get(options).expect_err("no model").to_string()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn model_folder(options: &Options) -> PathBuf {
    options.cache.join("models--owner--small-mae")
}

/// Names of the files in `blobs`, without the client's locks.
fn blobs(options: &Options) -> Vec<String> {
    let Ok(entries) = fs::read_dir(model_folder(options).join("blobs")) else { return Vec::new() };
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    names.filter(|name| !name.ends_with(".lock")).collect()
}

/// Ranges in which content of `file` was asked for.
fn ranges(hub: &Hub, file: &str) -> Vec<String> {
    let asked = hub.asked().into_iter().filter(|asked| asked.path.ends_with(&format!("/elsewhere/{file}")));
    asked.filter_map(|asked| asked.range).filter(|range| range != "bytes=0-0").collect()
}

#[test]
fn a_model_is_fetched_once_into_the_usual_cache() {
    let (hub, temp) = (Hub::of("transformers5"), folder());
    let options = options(&hub, temp.path());
    let mut seen = Vec::new();
    let address = Address::parse(&format!("hub:{REPO}")).expect("an address");
    let fetched = fetch(&options, &address, &mut |progress| {
        seen.push((progress.file.to_owned(), progress.done, progress.total));
    })
    .expect("a model");
    assert_eq!(fetched.stale, None);
    let bytes = hub.model().files[WEIGHTS].bytes.len() as u64;
    assert!(seen.contains(&(WEIGHTS.to_owned(), bytes, bytes)), "{seen:?}");
    assert!(seen.iter().all(|(_, done, total)| done <= total), "{seen:?}");

    let folder = model_folder(&options);
    assert_eq!(fetched.folder, folder.join("snapshots").join(COMMIT));
    for (name, file) in &hub.model().files {
        assert_eq!(fs::read(folder.join("blobs").join(file.etag())).expect("a blob"), file.bytes, "{name}");
        assert_eq!(fs::read(fetched.folder.join(name)).expect("a file"), file.bytes, "{name}");
        #[cfg(unix)]
        assert_eq!(
            fs::read_link(fetched.folder.join(name)).expect("a link"),
            Path::new("../../blobs").join(file.etag())
        );
    }
    assert_eq!(fs::read_to_string(folder.join("refs/main")).expect("a reference"), COMMIT);
    assert_eq!(fs::read_dir(folder.join("refs")).expect("a folder").count(), 1);
    let opened = Opened::open(&fetched.folder, &Hints::default()).expect("weights");
    assert_eq!((opened.config.width, opened.config.heads, opened.config.norm_pix_loss), (16, 2, true));

    // Once more: the hub is asked which commit it is, and nothing else; for a commit not even that.
    hub.asked();
    assert_eq!(get(&options).expect("a model").folder, fetched.folder);
    let asked = hub.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(get_at(&options, COMMIT).expect("a model").folder, fetched.folder);
    assert_eq!(hub.asked(), []);

    // A new commit with the same weights brings what is new alone.
    let commit = "f".repeat(40);
    hub.model().commit = commit.clone();
    hub.change("config.json", |file| file.bytes.push(b'\n'));
    let newer = get(&options).expect("a model");
    assert!(newer.folder.ends_with(&commit));
    assert_eq!(ranges(&hub, WEIGHTS), [""; 0]);
    Opened::open(&newer.folder, &Hints::default()).expect("weights");
    assert_eq!(fs::read_to_string(folder.join("refs/main")).expect("a reference"), commit);
}

#[test]
fn weights_of_every_kind_are_found() {
    for (fixture, hints) in [
        ("transformers5_sharded", Hints::default()),
        ("transformers4_bin", Hints::default()),
        ("transformers5_encoder", Hints::default()),
    ] {
        let (hub, temp) = (Hub::of(fixture), folder());
        let fetched = get_at(&options(&hub, temp.path()), "v1").unwrap_or_else(|error| panic!("{fixture}: {error}"));
        let opened = Opened::open(&fetched.folder, &hints).unwrap_or_else(|error| panic!("{fixture}: {error}"));
        assert_eq!(opened.config.width, 16, "{fixture}");
    }
    // timm's config.json is not one of transformers, and says nothing of heads, but of pixels.
    let hub = Hub::of("transformers5");
    let timm = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/weights/timm.safetensors");
    let pixels = r#"{"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}"#;
    let config = format!(r#"{{"architecture": "vit_small", "num_classes": 0, "pretrained_cfg": {pixels}}}"#);
    hub.change(WEIGHTS, |file| file.bytes = fs::read(timm).expect("a file"));
    hub.change("config.json", |file| file.bytes = config.into());
    let temp = folder();
    let fetched = get(&options(&hub, temp.path())).expect("a model");
    let hints = Hints { heads: Some(2), ..Hints::default() };
    let opened = Opened::open(&fetched.folder, &hints).expect("weights");
    assert_eq!((opened.config.heads, opened.config.layer_norm_eps), (2, 1e-6));
    assert_eq!((opened.config.pixel_mean, opened.config.pixel_std), ([0.5; 3], [0.25; 3]));
}

#[test]
fn a_broken_download_goes_on_where_it_broke() {
    let (hub, temp) = (Hub::of("transformers5"), folder());
    let all = hub.model().files[WEIGHTS].bytes.len();
    // By itself, twice.
    hub.change(WEIGHTS, |file| file.cuts = vec![all / 2, 1000]);
    let fetched = get(&options(&hub, temp.path())).expect("a model");
    assert_eq!(
        ranges(&hub, WEIGHTS),
        ["bytes=0-".to_owned(), format!("bytes={}-", all / 2), format!("bytes={}-", all / 2 + 1000)]
    );
    Opened::open(&fetched.folder, &Hints::default()).expect("weights");

    // By a later process, after one that gave up.
    let temp = folder();
    let options = options(&hub, temp.path());
    hub.change(WEIGHTS, |file| file.cuts = vec![all / 3]);
    let message = error(&Options { retries: 0, ..options.clone() });
    assert!(message.contains(REPO) && message.contains(WEIGHTS), "{message}");
    assert_eq!(ranges(&hub, WEIGHTS), ["bytes=0-"]);
    let fetched = get(&options).expect("a model");
    assert_eq!(ranges(&hub, WEIGHTS), [format!("bytes={}-", all / 3)]);
    Opened::open(&fetched.folder, &Hints::default()).expect("weights");
    assert!(blobs(&options).iter().all(|name| !name.ends_with(".part")));
}

#[test]
fn what_was_wrongly_put_together_is_fetched_as_a_whole() {
    // A server without ranges sends everything again, and a part that somebody else wrote may be wrong or whole.
    let (hub, temp) = (Hub::of("transformers5"), folder());
    let options = options(&hub, temp.path());
    let all = hub.model().files[WEIGHTS].bytes.clone();
    hub.change(WEIGHTS, |file| (file.cuts, file.no_ranges) = (vec![all.len() / 2], true));
    let fetched = get(&options).expect("a model");
    assert_eq!(fs::read(fetched.folder.join(WEIGHTS)).expect("weights"), all);

    hub.change(WEIGHTS, |file| file.no_ranges = false);
    for part in [vec![0; 100], all.clone(), vec![0; all.len() + 1]] {
        fs::remove_dir_all(&options.cache).expect("a cache");
        let blobs = model_folder(&options).join("blobs");
        fs::create_dir_all(&blobs).expect("a folder");
        fs::write(blobs.join(sha256(&all)).with_extension("part"), part).expect("a part");
        let fetched = get(&options).expect("a model");
        assert_eq!(fs::read(fetched.folder.join(WEIGHTS)).expect("weights"), all);
    }
}

#[test]
fn a_wrong_checksum_is_told_and_nothing_wrong_stays() {
    let (hub, temp) = (Hub::of("transformers5"), folder());
    let options = options(&hub, temp.path());
    let right = hub.model().files[WEIGHTS].bytes.clone();
    let mut wrong = right.clone();
    *wrong.last_mut().expect("bytes") ^= 1;
    hub.change(WEIGHTS, |file| file.spoilt = true);
    let message = error(&options);
    for part in [REPO, WEIGHTS, &sha256(&right), &sha256(&wrong)] {
        assert!(message.contains(part), "{part} is missing from {message}");
    }
    let blob = hub.model().files[WEIGHTS].etag();
    assert!(!blobs(&options).iter().any(|name| name.contains(&blob)), "{:?}", blobs(&options));
    let pointer = model_folder(&options).join("snapshots").join(COMMIT).join(WEIGHTS);
    assert!(pointer.symlink_metadata().is_err());
    assert!(!model_folder(&options).join("refs/main").exists());
    assert!(get(&Options { offline: true, ..options.clone() }).is_err());

    hub.change(WEIGHTS, |file| file.spoilt = false);
    Opened::open(&get(&options).expect("a model").folder, &Hints::default()).expect("weights");
}

#[test]
fn without_a_hub_the_cache_does() {
    let (hub, temp) = (Hub::of("transformers5_sharded"), folder());
    let online = options(&hub, temp.path());
    let offline = Options { offline: true, ..online.clone() };
    hub.asked();
    let message = error(&offline);
    for part in [REPO, WEIGHTS, "HF_HUB_OFFLINE", &online.cache.display().to_string()] {
        assert!(message.contains(part), "{part} is missing from {message}");
    }
    assert_eq!(hub.asked(), []);

    let fetched = get(&online).expect("a model");
    hub.asked();
    let again = get(&offline).expect("the cache");
    assert_eq!((&again.folder, again.stale), (&fetched.folder, None));
    assert_eq!(hub.asked(), []);

    // Nobody answers, or not now.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let away = Options { endpoint: format!("http://{gone}"), ..online.clone() };
    let stale = get(&away).expect("the cache").stale.expect("a warning");
    assert!(stale.contains(&away.endpoint), "{stale}");
    hub.model().refused = Some((503, ""));
    let stale = get(&online).expect("the cache").stale.expect("a warning");
    assert!(stale.contains("503"), "{stale}");

    // A shard that is missing is named.
    let shard = "model-00002-of-00003.safetensors";
    fs::remove_file(fetched.folder.join(shard)).expect("a shard");
    for options in [&offline, &away, &online] {
        let message = error(options);
        assert!(message.contains(shard) && message.contains(REPO), "{message}");
    }
}

#[test]
fn what_the_hub_refuses_is_told_with_what_to_do() {
    let (hub, temp) = (Hub::of("transformers5"), folder());
    let options = options(&hub, temp.path());
    for (status, code, wanted) in [
        (401, "RepoNotFound", "knows no such model"),
        (404, "RepoNotFound", "knows no such model"),
        (401, "", "knows no such model"),
        (404, "RevisionNotFound", "has no revision \"main\""),
        (401, "GatedRepo", "gated"),
        (403, "GatedRepo", "gated"),
        (403, "", "gated"),
        (451, "", "451"),
    ] {
        hub.model().refused = Some((status, code));
        let message = error(&options);
        assert!(message.contains(wanted) && message.contains(REPO), "{status} {code}: {message}");
        assert!(status == 451 || code == "RevisionNotFound" || message.contains("HF_TOKEN"), "{message}");
    }
    hub.model().refused = Some((401, ""));
    hub.model().message = "Invalid credentials in Authorization header";
    let message = error(&Options { token: Some("hf_old".to_owned()), ..options.clone() });
    assert!(message.contains("refused the token") && message.contains("HF_TOKEN"), "{message}");
    assert!(!message.contains("hf_old"), "{message}");
    hub.model().refused = None;
    let other = Address::parse("hub:owner/other").expect("an address");
    let message = fetch(&options, &other, &mut |_| {}).expect_err("unknown").to_string();
    assert!(message.contains("owner/other") && message.contains("HF_TOKEN"), "{message}");
    let message = get_at(&options, "v9").expect_err("unknown").to_string();
    assert!(message.contains("\"v9\""), "{message}");

    // The listing of a gated model is open, its files are not.
    hub.model().token = Some("hf_right");
    let message = error(&options);
    assert!(message.contains("gated") && message.contains("HF_TOKEN") && message.contains(REPO), "{message}");
    let wrong = Options { token: Some("hf_wrong".to_owned()), ..options.clone() };
    assert!(!error(&wrong).contains("hf_wrong"));
    get(&Options { token: Some("hf_right".to_owned()), ..options.clone() }).expect("a model");

    let empty = Hub::start(Model { commit: COMMIT.to_owned(), ..Model::default() });
    let message = error(&Options { endpoint: empty.endpoint, ..options });
    assert!(message.contains("holds no weights") && message.contains("pytorch_model.bin"), "{message}");
}

#[test]
fn hostile_answers_are_refused_within_the_cache() {
    let temp = folder();
    for name in ["../../evil", "/tmp/evil", "..\\evil", "a/b", ""] {
        let hub = Hub::of("transformers5_sharded");
        let index = serde_json::json!({ "weight_map": { "a": name } }).to_string();
        hub.change("model.safetensors.index.json", |file| file.bytes = index.into());
        let message = error(&options(&hub, temp.path()));
        assert!(message.contains("no file beside it") && message.contains(name), "{message}");
        assert!(hub.asked().iter().all(|asked| !asked.path.contains("evil")));
        fs::remove_dir_all(temp.path().join("hub")).expect("a cache");
    }
    for etag in ["../../../evil", "/etc/evil", "", "a.b", &"a".repeat(200)] {
        let hub = Hub::of("transformers5");
        hub.change("config.json", |file| file.etag = Some(etag.to_owned()));
        let options = options(&hub, temp.path());
        let message = error(&options);
        assert!(message.contains("etag") && message.contains("config.json"), "{etag}: {message}");
        assert_eq!(blobs(&options), [""; 0]);
    }
    for listing in ["", "[]", "{\"sha\": 7}", "{\"sha\": \"../../evil\", \"siblings\": []}"] {
        let hub = Hub::of("transformers5");
        hub.model().listing = Some(listing.to_owned());
        let message = error(&options(&hub, temp.path()));
        assert!(message.contains(REPO), "{message}");
    }
    // What makes the client panic or wait forever is an error here.
    let hub = Hub::of("transformers5");
    hub.model().lost = true;
    let message = error(&options(&hub, temp.path()));
    assert!(message.contains(REPO) && message.contains("makes no sense"), "{message}");
    let hub = Hub::of("transformers5");
    hub.change(WEIGHTS, |file| file.stalls = true);
    let message = error(&Options { patience: Duration::from_secs(1), ..options(&hub, temp.path()) });
    assert!(message.contains("nothing came for 1 s") && message.contains(WEIGHTS), "{message}");
}

fn unmask(hub: &Hub, home: &Path, offline: bool, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unmask"));
    for name in ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN"] {
        command.env_remove(name);
    }
    if offline {
        command.env("HF_HUB_OFFLINE", "1");
    }
    command.env("HF_ENDPOINT", &hub.endpoint).env("HF_HOME", home);
    // Not the user's own.
    command.env("UNMASK_CACHE", env!("CARGO_TARGET_TMPDIR"));
    command.args(arguments).output().expect("the program runs")
}

#[test]
fn the_program_takes_models_of_the_hub() {
    let (hub, temp) = (Hub::of("transformers5"), folder());
    let named = format!("hub:{REPO}");
    let picture = temp.path().join("picture.png");
    let gradient = |x: u32, y: u32| image::Rgb([x as u8 * 4, y as u8 * 4, 128]);
    image::RgbImage::from_fn(64, 64, gradient).save(&picture).expect("a picture");
    let picture = picture.display().to_string();
    let out = |name: &str| temp.path().join(name).display().to_string();
    let done =
        unmask(&hub, temp.path(), false, &["reconstruct", &picture, "--weights", &named, "--out", &out("a.png")]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(temp.path().join("a.png").exists() && temp.path().join("hub/models--owner--small-mae").exists());

    hub.asked();
    let done = unmask(&hub, temp.path(), true, &["--json", "convert", &named, &out("b.safetensors"), "--to", "native"]);
    assert!(done.status.success() && done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(hub.asked(), []);
    Opened::open(&temp.path().join("b.safetensors"), &Hints::default()).expect("weights");

    let refused = unmask(&hub, temp.path(), true, &["train", "--data", "sample", "--init", "hub:owner/other"]);
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1));
    assert!(message.contains("hub:owner/other: model.safetensors is not in the cache"), "{message}");
}
