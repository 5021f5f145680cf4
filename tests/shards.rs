//! A hundred thousand pictures in tar shards: they are trained on in the memory that a few take.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, BufWriter, Cursor};
use std::path::Path;
use std::process::{Command, Stdio};

use unmask::eval::kernels::Random;
use unmask::train::Recipe;

const SHARDS: usize = 10;
const PICTURES: usize = 100_000;
/// As many as are held out of one set at most.
const HELD_OUT: usize = 5_000;
/// Most memory that an epoch may take beyond a few steps, KiB.
const FLAT: u64 = 48 << 10;

/// Pictures of noise, named one by one; some bytes are shared, as decoding them is what takes time and memory.
fn write_shards(folder: &Path) {
    let mut random = Random(9);
    let mut noise = || {
        let pixels = image::RgbImage::from_fn(20, 16, |_, _| image::Rgb([0; 3].map(|_| random.bits() as u8)));
        let mut bytes = Cursor::new(Vec::new());
        pixels.write_to(&mut bytes, image::ImageFormat::Png).expect("a picture");
        bytes.into_inner()
    };
    let pictures: Vec<Vec<u8>> = (0..64).map(|_| noise()).collect();
    for shard in 0..SHARDS {
        let file = File::create(folder.join(format!("{shard:05}.tar"))).expect("a file");
        let mut archive = tar::Builder::new(BufWriter::new(file));
        for number in 0..PICTURES / SHARDS {
            let bytes = &pictures[number % pictures.len()];
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, format!("{shard:05}{number:05}.png"), bytes.as_slice()).expect("appended");
        }
        archive.into_inner().expect("a tar archive");
    }
}

/// Trains to its end; most memory in KiB, pictures, and the share of time spent waiting for them.
fn train(folder: &Path, out: &str, stop: Option<&str>) -> (u64, u64, f64) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unmask"));
    command.current_dir(folder).args(["train", "--json", "--model", "nano.toml", "--out", out]);
    command.args(stop.into_iter().flat_map(|steps| ["--stop-after", steps]));
    // Not the user's own.
    command.env("UNMASK_CACHE", env!("CARGO_TARGET_TMPDIR"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program");
    let (mut most, mut pictures, mut waited) = (0, 0, f64::NAN);
    for line in BufReader::new(child.stdout.take().expect("its words")).lines().map_while(Result::ok) {
        let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        pictures = line["pictures"].as_u64().unwrap_or(pictures);
        waited = line["waited_share"].as_f64().unwrap_or(waited);
        // Gone once the program ends.
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        most = peak.and_then(|peak| peak.trim().parse().ok()).unwrap_or(most);
    }
    assert!(child.wait().expect("its end").success());
    (most, pictures, waited)
}

#[test]
fn an_epoch_of_a_hundred_thousand_takes_the_memory_of_a_few_steps() {
    let folder = tempfile::tempdir().expect("a folder");
    let shards = folder.path().join("shards");
    fs::create_dir(&shards).expect("a folder");
    write_shards(&shards);
    let mut recipe = Recipe::load("micro").expect("a preset");
    let model = &mut recipe.model;
    (model.image_size, model.patch_size) = (16, 8);
    (model.width, model.depth, model.heads) = (16, 1, 1);
    (model.decoder_width, model.decoder_depth, model.decoder_heads) = (16, 1, 1);
    let train_recipe = &mut recipe.train;
    train_recipe.data = vec![shards.display().to_string()];
    // Far less than all of them: they stream.
    train_recipe.pixel_budget = 4;
    train_recipe.batch = 128;
    train_recipe.steps = ((PICTURES - HELD_OUT) as u64).div_ceil(128);
    train_recipe.eval_every = 0;
    train_recipe.checkpoint_every = 0;
    fs::write(folder.path().join("nano.toml"), recipe.to_toml().expect("toml")).expect("written");

    let (few, pictures, _) = train(folder.path(), "few", Some("20"));
    let (all, _, waited) = train(folder.path(), "all", None);
    println!("{pictures} pictures: {few} KiB after 20 steps, {all} KiB after an epoch; the adapter waited {waited:.3}");
    assert_eq!(pictures, (PICTURES - HELD_OUT) as u64);
    assert!(few > 0 && all < few + FLAT, "{few} KiB grew to {all} KiB");
    assert!((0.0..1.0).contains(&waited));
}
