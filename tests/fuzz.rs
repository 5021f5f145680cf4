//! Damaged files: every reader either reads them or says what is wrong, without panics, hangs or much memory.
//!
//! Each round changes a whole file in one to four places. `UNMASK_FUZZ` gives the rounds a file; `./dev fuzz` runs many.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use unmask::data::{GivenSource, Labels, open_given};
use unmask::eval::kernels::Random;
use unmask::train::{Checkpoint, HubConfig, MetricsLine, Opened, Recipe, RunFolder, find_runs};
use unmask::weights::{Bytes, Renamed, TensorSource, open_bytes};

/// Rounds a file in the ordinary tests.
const ROUNDS: usize = 400;
/// Longest round, far beyond what the largest file takes.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most memory a round may take, in multiples of the file's bytes: numbers of one byte become four, twice over.
const MOST_TIMES: usize = 16;
/// What a round may take however small the file is, bytes.
const MOST_ALWAYS: usize = 1 << 20;

/// The system's allocator, with what is in use and the most that was.
struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came; counting touches no memory of theirs.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let used = USED.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(used, Ordering::Relaxed);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn rounds() -> usize {
    std::env::var("UNMASK_FUZZ").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS)
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// `whole` with one to four changes: bits, bytes, numbers at their extremes, pieces copied, cut out or cut off.
fn damaged(whole: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    // Structure lies at both ends of most files: half of the changes go there.
    let place = |random: &mut Random, length: usize| match random.below(4) {
        0 => random.below(length.min(512)),
        1 => length - 1 - random.below(length.min(4096)),
        _ => random.below(length),
    };
    for _ in 0..=random.below(4) {
        if bytes.is_empty() {
            break;
        }
        let at = place(random, bytes.len());
        match random.below(7) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.bits() as u8,
            2 => {
                let extreme =
                    [0u64, 1, 0x7f, 0xff, 0x7fff_ffff, 0xffff_ffff, u64::MAX, i64::MIN as u64][random.below(8)];
                let width = [1, 2, 4, 8][random.below(4)];
                for (to, from) in bytes[at..].iter_mut().zip(&extreme.to_le_bytes()[..width]) {
                    *to = *from;
                }
            }
            3 => {
                let (from, length) = (random.below(bytes.len()), 1 + random.below(64));
                let piece = bytes[from..bytes.len().min(from + length)].to_vec();
                bytes.splice(at..at, piece);
            }
            4 => {
                let end = bytes.len().min(at + 1 + random.below(64));
                bytes.drain(at..end);
            }
            5 => bytes.truncate(at),
            _ => {
                // Digits of text, so that what parses says something else.
                for byte in bytes[at..].iter_mut().take(16).filter(|byte| byte.is_ascii_digit()) {
                    *byte = b'0' + random.below(10) as u8;
                }
            }
        }
    }
    bytes
}

/// Feeds `read` with damaged copies of `names`; how many of them were read all the same.
fn fuzz(names: &[&str], seed: u64, mut read: impl FnMut(Vec<u8>) -> bool) {
    let mut random = Random(seed);
    for name in names {
        let whole = std::fs::read(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(read(whole.clone()), "{name} is whole");
        let mut fine = 0;
        for round in 0..rounds() {
            let bytes = damaged(&whole, &mut random);
            let (size, start) = (bytes.len(), Instant::now());
            let before = USED.load(Ordering::Relaxed);
            PEAK.store(before, Ordering::Relaxed);
            fine += usize::from(read(bytes));
            let took = PEAK.load(Ordering::Relaxed).saturating_sub(before);
            assert!(
                took <= MOST_ALWAYS + MOST_TIMES * size,
                "{name}, round {round}: {took} bytes for a file of {size}"
            );
            assert!(start.elapsed() < PATIENCE, "{name}, round {round}: {:?}", start.elapsed());
        }
        println!("{name}: {} rounds, {fine} read all the same", rounds());
    }
}

/// One test, so that no other's memory is counted.
#[test]
fn damaged_files_are_read_or_refused() {
    let weights = [
        "weights/original_full.pth",
        "weights/original_encoder_f16.pth",
        "weights/original_encoder_views.pth",
        "weights/original_full_bf16_legacy.pth",
        "weights/transformers4_bin/pytorch_model.bin",
        "weights/transformers5/model.safetensors",
        "weights/timm.safetensors",
    ];
    fuzz(&weights, 1, |bytes| {
        let Ok(file) = open_bytes("damaged", Bytes::Memory(bytes.into())) else { return false };
        let Ok(renamed) = Renamed::new(Box::new(file)) else { return false };
        renamed.read_all().is_ok()
    });
    fuzz(&["weights/transformers5/model.safetensors"], 2, |bytes| match Opened::from_bytes("damaged", bytes) {
        // Nothing but the heads is missing in the whole file, and an error is an answer.
        Ok(model) => model.config.check().is_ok(),
        Err(error) => !error.to_string().is_empty(),
    });
    fuzz(&["weights/transformers5/config.json"], 3, |bytes| {
        String::from_utf8(bytes).is_ok_and(|text| HubConfig::parse("damaged", &text).is_ok())
    });
    fuzz(&["fuzz/recipe.toml"], 4, |bytes| {
        String::from_utf8(bytes)
            .is_ok_and(|text| Recipe::parse("damaged", &text).is_ok_and(|recipe| recipe.check().is_ok()))
    });
    fuzz(&["fuzz/checkpoint.safetensors"], 5, |bytes| Checkpoint::from_bytes("damaged", &bytes).is_ok());
    let mut data = vec![
        "fuzz/pictures.tar",
        "fuzz/pictures.tar.gz",
        "fuzz/pictures.zip",
        "fuzz/images-idx3-ubyte",
        "fuzz/images.npy",
        "fuzz/images.npz",
    ];
    if cfg!(feature = "parquet") {
        data.extend(["fuzz/pictures.parquet", "fuzz/texts.parquet"]);
    }
    // What the Parquet library asserts of a damaged file is caught, but would be printed thousands of times.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|panic| {
        if panic.location().is_none_or(|place| !place.file().contains("parquet")) {
            eprintln!("{panic}");
        }
    }));
    fuzz(&data, 6, |bytes| {
        let Ok(source) = open_given(vec![("damaged".to_owned(), bytes)]) else { return false };
        // Decoders of pictures are tried elsewhere.
        let is_fine = |index: usize| {
            let told = !source.name(index).is_empty() && source.label(index) != Some("");
            told && source.read(index).is_ok()
        };
        (0..source.len().min(64)).all(is_fine)
    });
    std::panic::set_hook(hook);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("labels");
    let kinds = ["-idx1-ubyte", ".tsv", ".txt", ".gz", ".npy"].map(|kind| format!("fuzz/labels{kind}"));
    let names = ["0.png", "1.jpeg", "2.webp", "3.bmp"].map(|name| (format!("cat/00000{name}"), Vec::new()));
    let four = GivenSource::new(names);
    fuzz(&kinds.each_ref().map(String::as_str), 8, |bytes| {
        std::fs::write(&path, bytes).expect("written");
        Labels::of_file(&path, &four, &[0, 1, 2, 3])
            .is_ok_and(|labels| labels.of.iter().all(|class| *class < labels.classes.len()))
    });
    fuzz_run_folders();
}

/// A run folder of which one file is damaged.
fn fuzz_run_folders() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join("run");
    let checkpoint = std::fs::read(file("fuzz/checkpoint.safetensors")).expect("a checkpoint");
    let recipe = Checkpoint::from_bytes("checkpoint", &checkpoint).expect("a checkpoint").recipe;
    drop(RunFolder::create(&run, &recipe).expect("a run"));
    std::fs::write(run.join("checkpoints/step-3.safetensors"), &checkpoint).expect("written");
    let line = |step: u64| MetricsLine { step, loss: Some(1.0 / step as f64), ..MetricsLine::default() };
    let lines: String = (1..4).map(|step| serde_json::to_string(&line(step)).expect("JSON") + "\n").collect();
    std::fs::write(run.join("metrics.jsonl"), lines).expect("written");
    let mut random = Random(7);
    for name in ["recipe.toml", "metrics.jsonl", "checkpoints/step-3.safetensors"] {
        let whole = std::fs::read(run.join(name)).expect("read");
        for _ in 0..rounds().div_ceil(20) {
            std::fs::write(run.join(name), damaged(&whole, &mut random)).expect("written");
            // Event files pile up, one a start.
            if let Ok((folder, ..)) = RunFolder::resume(&run) {
                assert_eq!(folder.path(), run);
            }
            let _ = find_runs(folder.path());
        }
        std::fs::write(run.join(name), whole).expect("written");
    }
    let (_, _, checkpoint) = RunFolder::resume(&run).expect("whole again");
    assert!(checkpoint.is_some());
}
