//! The program as a user meets it: exit codes, messages, JSON.

#[path = "common/left_out.rs"]
mod left_out;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use unmask::weights::TensorSource as _;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unmask"));
    // Not the user's own.
    command.env("UNMASK_CACHE", env!("CARGO_TARGET_TMPDIR"));
    command
}

fn unmask(arguments: &[&str]) -> Output {
    program().args(arguments).output().expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Starts the program with its outputs piped.
fn start(arguments: &[&str]) -> std::process::Child {
    program().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs")
}

fn json(output: Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one object")
}

/// A model that takes milliseconds a step, as a recipe in `folder`; the path of the recipe.
fn nano(folder: &Path) -> String {
    let mut recipe = unmask::train::Recipe::load("micro").expect("a preset");
    let model = &mut recipe.model;
    (model.image_size, model.patch_size, model.width, model.depth, model.heads) = (32, 8, 16, 1, 2);
    (model.decoder_width, model.decoder_depth, model.decoder_heads) = (16, 1, 2);
    let path = folder.join("nano.toml");
    fs::write(&path, recipe.to_toml().expect("a recipe")).expect("written");
    path.display().to_string()
}

/// Small pictures in a folder of `folder`; its path.
fn pictures(folder: &Path, count: u8) -> String {
    let path = folder.join("pictures");
    fs::create_dir(&path).expect("a folder");
    for index in 0..count {
        let pixels = image::RgbImage::from_fn(40, 40, |x, y| image::Rgb([x as u8 * 6, y as u8 * 6, index * 9]));
        pixels.save(path.join(format!("{index}.png"))).expect("written");
    }
    path.display().to_string()
}

/// Names of the files in `folder`, sorted; none where there is no folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn wrong_usage_exits_with_2_and_failure_with_1() {
    assert_eq!(unmask(&["train", "--steps", "many"]).status.code(), Some(2));
    assert_eq!(unmask(&["dance"]).status.code(), Some(2));
    let failed = unmask(&["train", "--model", "giant"]);
    assert_eq!(failed.status.code(), Some(1));
    let message = text(&failed.stderr);
    assert!(message.contains("no model is called \"giant\"; expected one of micro, mini"), "{message}");
    assert!(failed.stdout.is_empty());
}

#[test]
fn help_and_completions_tell_a_newcomer_what_there_is() {
    let help = unmask(&["--help"]);
    assert!(help.status.success());
    let help = text(&help.stdout);
    for command in ["train", "reconstruct", "selftest", "info", "bench", "completions"] {
        assert!(help.contains(command), "{command} is missing from {help}");
    }
    assert!(text(&unmask(&["train", "--help"]).stdout).contains("Share of hidden patches"));
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = unmask(&["completions", shell]);
        assert!(script.status.success() && text(&script.stdout).contains("reconstruct"), "{shell}");
    }
}

#[test]
fn info_and_selftest_speak_json() {
    let info = unmask(&["info", "--json"]);
    let info: serde_json::Value = serde_json::from_slice(&info.stdout).expect("one object");
    assert!(info["adapters"].as_array().is_some_and(|adapters| !adapters.is_empty()), "{info}");
    assert!(info["limits"]["max_buffer_size"].as_u64().is_some_and(|bytes| bytes > 0), "{info}");

    // As in a container without a desktop, of which some drivers complain.
    let bare = program().arg("info").env_remove("XDG_RUNTIME_DIR").output().expect("the program runs");
    assert!(bare.status.success() && !text(&bare.stderr).contains("XDG_RUNTIME_DIR"), "{}", text(&bare.stderr));

    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/square32_p8.safetensors");
    let report = unmask(&["selftest", "--json", &case.display().to_string()]);
    assert!(report.status.success(), "{}", text(&report.stderr));
    let report: serde_json::Value = serde_json::from_slice(&report.stdout).expect("one object");
    for key in ["case", "adapter", "loss", "pred_max_abs", "latent_max_abs", "grad", "train_losses", "after"] {
        assert!(!report[key].is_null(), "{key} is missing");
    }
    assert_eq!((&report["pass"], &report["mask_equal"]), (&true.into(), &true.into()));

    let all = unmask(&["selftest", "--json"]);
    assert!(all.status.success(), "{}", text(&all.stderr));
    let lines: Vec<serde_json::Value> =
        text(&all.stdout).lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    let (kernels, cases): (Vec<_>, Vec<_>) = lines.iter().partition(|line| !line["kernel"].is_null());
    assert!(kernels.len() > 100 && cases.len() == 2, "{} kernels, {} cases", kernels.len(), cases.len());
    for line in kernels {
        assert!(line["case"].is_string() && line["adapter"].is_string(), "{line}");
        assert!(line["error"].as_f64() <= line["tolerance"].as_f64() && line["pass"] == true, "{line}");
    }

    let missing = unmask(&["selftest", "no-such-case.safetensors"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("no-such-case.safetensors"));
}

#[test]
fn reconstruct_writes_a_strip_and_says_how_good_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let photo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/photos/animal/cat_erasers.jpg");
    let (photo, out) = (photo.display().to_string(), folder.path().join("out.png"));
    let pixels = folder.path().join("out.safetensors");
    let folder_text = folder.path().display().to_string();
    let (out_text, pixels_text) = (out.display().to_string(), pixels.display().to_string());
    let result =
        unmask(&["reconstruct", &photo, "--json", "--seed", "7", "--out", &out_text, "--pixels", &pixels_text]);
    assert!(result.status.success(), "{}", text(&result.stderr));
    let line: serde_json::Value = serde_json::from_slice(&result.stdout).expect("one object");
    assert_eq!((line["visible"].as_u64(), line["patches"].as_u64()), (Some(16), Some(64)));
    assert_eq!(line["keep"].as_array().map(Vec::len), Some(16));
    assert!(line["hidden_mse"].as_f64().is_some_and(|mse| mse > 0.0 && mse < 4.0), "{line}");
    assert!(line["baseline_mse"]["interpolation"].as_f64().is_some_and(|mse| mse > 0.0), "{line}");
    let strip = image::open(&out).expect("a picture");
    assert_eq!((strip.width(), strip.height()), (256, 64));
    let tensors = unmask::weights::Tensors::open(&pixels).expect("tensors");
    assert!(tensors.expect("input", &[3, 64, 64]).is_ok() && tensors.expect("pred", &[64, 192]).is_ok());

    let told = text(&unmask(&["reconstruct", &photo, "--seed", "7", "--out", &out_text]).stdout);
    assert!(told.contains(" of normalised pixels (to beat: mean colour "), "{told}");

    let kept = unmask(&["reconstruct", &photo, "--json", "--keep", "0,5,9", "--out", &out_text]);
    let line: serde_json::Value = serde_json::from_slice(&kept.stdout).expect("one object");
    assert_eq!(line["keep"], serde_json::json!([0, 5, 9]));

    for (arguments, expected) in [
        (vec!["--keep", "0,64"], "patch 64 is out of range; expected 0 to 63"),
        (vec!["--keep", "3,3"], "listed twice"),
        (vec!["--mask-ratio", "75"], "--mask-ratio 75: expected 0 to under 1, such as 0.75 for 75 %"),
    ] {
        let failed =
            unmask(&[["reconstruct", photo.as_str(), "--out", out_text.as_str()].as_slice(), &arguments].concat());
        assert_eq!(failed.status.code(), Some(1), "{arguments:?}");
        assert!(text(&failed.stderr).contains(expected), "{}", text(&failed.stderr));
    }
    let whole = json(unmask(&["reconstruct", &photo, "--json", "--mask-ratio", "0", "--out", &out_text]));
    assert!(whole["hidden_psnr_db"].is_null() && whole["out"].as_str() == Some(out_text.as_str()), "{whole}");
    let larger = json(unmask(&["reconstruct", &photo, "--json", "--image-size", "128", "--out", &out_text]));
    assert_eq!(larger["patches"].as_u64(), Some(256));
    for (arguments, expected) in [
        (["reconstruct", &out_text, "--out", &out_text], "is one of the pictures themselves"),
        (["reconstruct", &photo, "--pixels", &photo], "expected a name that ends in .safetensors"),
        (["reconstruct", &photo, "--heads", "8"], "need --weights"),
        (["reconstruct", &photo, "--mask-ratio", "-1"], "--mask-ratio -1: expected 0 to under 1"),
    ] {
        let failed = unmask(&arguments);
        assert!(text(&failed.stderr).contains(expected), "{arguments:?}: {}", text(&failed.stderr));
    }
    assert_eq!(unmask(&["reconstruct", &photo, "--keep", "0", "--seed", "1"]).status.code(), Some(2));
    // A folder is given the strip under a name of its own, and what stands there whole.
    let before = fs::read(&out).expect("a strip");
    let result = unmask(&["reconstruct", &out_text, "--out", &folder_text]);
    assert!(result.status.success(), "{}", text(&result.stderr));
    assert!(fs::read(&out).expect("a strip") == before);
    assert_eq!(names(folder.path()), ["out-reconstruction.png", "out.png", "out.safetensors"]);
    // A name without an ending is that of a folder; what no picture can be written to is told before it is computed.
    let strips = folder.path().join("strips").display().to_string();
    let result = unmask(&["reconstruct", &photo, "--out", &strips]);
    assert!(result.status.success(), "{}", text(&result.stderr));
    assert!(folder.path().join("strips/cat_erasers-reconstruction.png").is_file());
    let failed = unmask(&["reconstruct", &photo, "--out", "strip.doc"]);
    assert!(text(&failed.stderr).contains("--out strip.doc: expected a name that ends in .png"));
    let failed = unmask(&["reconstruct", "no-such.jpg"]);
    assert!(text(&failed.stderr).contains("no-such.jpg: no such file or folder"));
    let failed = unmask(&["reconstruct", &photo, "--weights", "no-such.safetensors"]);
    assert_eq!(text(&failed.stderr).matches("No such file").count(), 1, "{}", text(&failed.stderr));
    let failed = unmask(&["reconstruct", &photo, "--weights", "owner/no-such-model"]);
    let said = text(&failed.stderr);
    assert!(said.contains("no such file or folder; did you mean hub:owner/no-such-model?"), "{said}");
}

#[test]
fn what_has_no_effect_and_numbers_out_of_range_are_refused() {
    for (arguments, code, expected) in [
        (&["find-lr", "--resume"][..], 1, "--resume has no effect"),
        (&["find-lr", "--from", "1", "--to", "0.1"], 1, "the lower one first"),
        (&["find-lr", "--tries", "1"], 1, "--tries 1: expected at least 2"),
        (&["find-lr", "--checkpoint-every", "5"], 1, "--checkpoint-every has no effect"),
        (&["train", "--epochs", "0"], 2, "expected a whole number of at least 1"),
        (&["train", "--lr", "0.1"], 2, "the learning rate is --blr times effective batch / 256"),
        (&["train", "--steps", "1e3"], 2, "expected a whole number of at least 1"),
        (&["train", "--seed", "-1"], 2, "expected a whole number of at least 0"),
        (&["train", "--blr", "-0.1", "--out", "no-such/run"], 1, "blr = -0.1"),
        (
            &["train", "--seed", "9223372036854775808", "--out", "no-such/run"],
            1,
            "expected at most 9223372036854775807",
        ),
        (&["train", "--mask-ratio", "0", "--out", "no-such/run"], 1, "mask_ratio = 0: hides none of the 64 patches"),
        (&["bench", "--steps", "0"], 2, "at least 1"),
        (&["bench", "--slice-ms", "nan"], 2, "above 0"),
        (&["bench", "--tiles", "--ops"], 2, "cannot be used with"),
        (&["demo", "--seconds", "nan"], 2, "above 0"),
        (&["recipe", "no-such"], 1, "paper-base"),
    ] {
        let failed = unmask(arguments);
        let said = text(&failed.stderr);
        assert!(failed.status.code() == Some(code) && said.contains(expected), "{arguments:?}: {said}");
    }
}

/// Whether there are any ops in `ops`, as there have to be where the adapter has timestamps.
fn has_timed(ops: &serde_json::Value) -> bool {
    let info = json(unmask(&["info", "--json"]));
    let has_timestamps = info["features"].as_array().expect("a list").contains(&"timestamps".into());
    let timed = !ops.as_array().expect("a list").is_empty();
    assert_eq!(timed, has_timestamps, "ops are timed where the adapter has timestamps: {ops}");
    if !timed {
        left_out::left_out("milliseconds by op: the adapter has no timestamps");
    }
    timed
}

#[test]
fn bench_follows_shapes_slices_and_sizes() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name).display().to_string();
    let bench = ["bench", "--model", "micro", "--batch", "2", "--steps", "1", "--json"];
    let (bars, curves) = (place("bars.svg"), place("curves.svg"));
    let line = json(unmask(&[&bench[..], &["--shapes", "--slice-ms", "5", "--svg", &bars]].concat()));
    assert!(line["slices"]["ratio"].as_f64().is_some_and(|ratio| ratio > 0.0), "{line}");
    assert!(line["visible_only"]["encode_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{line}");
    let result = &line["visible_only"];
    if has_timed(&result["ops"]) {
        let sum = |rows: &serde_json::Value| -> f64 {
            rows.as_array().expect("a list").iter().map(|row| row["milliseconds"].as_f64().expect("a time")).sum()
        };
        assert!((sum(&result["ops"]) - sum(&result["shapes"])).abs() < 1e-6, "{result}");
        let shapes = result["shapes"].as_array().expect("a list");
        assert!(shapes.iter().any(|row| row["shapes"] == "2x17x128, 384x128, 384" && row["times"] == 4), "{result}");
    }

    // A series of pictures, of a model small enough for all of them.
    let nano = nano(folder.path());
    let series = ["bench", "--model", &nano, "--steps", "1", "--json", "--scale", "batch", "--svg", &curves];
    let line = json(unmask(&series));
    let points = line["points"].as_array().expect("points");
    assert!(points.len() >= 2 && points[0]["name"] == "1" && points[1]["name"] == "2", "{line}");
    let flops = |at: usize| points[at]["flops"].as_f64().expect("a count");
    assert!((flops(1) / flops(0) - 2.0).abs() < 0.01, "{line}");
    for file in [bars, curves] {
        let svg = std::fs::read_to_string(&file).expect("a picture");
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
    }
}

#[test]
fn bench_tells_speeds_as_shares_of_the_measured_peak() {
    let bench = unmask(&["bench", "--model", "micro", "--batch", "1", "--steps", "1", "--ops", "--json"]);
    assert!(bench.status.success(), "{}", text(&bench.stderr));
    let line: serde_json::Value = serde_json::from_slice(&bench.stdout).expect("one object");
    let share = |of: &serde_json::Value| of["gflops"].as_f64().zip(line["peak"]["gflops"].as_f64()).map(|(a, b)| a / b);
    assert!(line["peak"]["gbytes_per_s"].as_f64().is_some_and(|rate| rate > 0.0), "{line}");
    let told = line["share_of_peak"].as_f64().expect("a share");
    assert!(share(&line).is_some_and(|share| (share - told).abs() < 1e-9), "{line}");
    has_timed(&line["visible_only"]["ops"]);
    for op in line["visible_only"]["ops"].as_array().expect("a list") {
        assert!(op["gbytes_per_s"].as_f64().is_some_and(|rate| rate > 0.0), "{op}");
        // Numbers of JSON may lose their last bit on the way back.
        let least = share(op).expect("a share") * (1.0 - 1e-12);
        assert!(op["share_of_peak"].as_f64().is_some_and(|share| share >= least), "{op}");
    }
}

#[test]
fn recipes_are_written_with_notes_and_read_with_care() {
    let names = text(&unmask(&["recipe"]).stdout);
    assert!(names.contains("paper-base") && names.contains("small-data") && names.contains("huge"), "{names}");
    let recipe = text(&unmask(&["recipe", "paper-large"]).stdout);
    assert!(recipe.contains("# base learning rate; the rate is this times effective batch / 256\nblr = 0.00015\n"));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.toml");
    std::fs::write(&file, recipe.replace("\nwarmup_steps", "\nwarm_up_steps")).expect("written");
    let failed = unmask(&["train", "--model", &file.display().to_string()]);
    let message = text(&failed.stderr);
    assert_eq!(failed.status.code(), Some(1));
    assert!(message.contains("mine.toml: unknown name \"warm_up_steps\" in [train]; did you mean \"warmup_steps\"?"));
}

#[test]
fn runs_are_listed_and_compared() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    for seed in ["1", "2"] {
        let run = at(&format!("runs/seed-{seed}"));
        let settings = ["train", "--quiet", "--steps", "4", "--batch", "4", "--eval-every", "2", "--seed", seed];
        let done = unmask(&[&settings[..], &["--out", &run]].concat());
        assert!(done.status.success(), "{}", text(&done.stderr));
    }
    let table = text(&unmask(&["runs", &at("runs"), "--plot", "--svg", &at("losses.svg")]).stdout);
    assert!(table.contains("seed-1") && table.contains("seed-2") && table.contains("held out"), "{table}");
    let failed = unmask(&["runs", &at("runs"), "--svg", &at("runs/seed-1/metrics.jsonl")]);
    assert!(text(&failed.stderr).contains("metrics.jsonl: expected a name that ends in .svg"));
    let svg = std::fs::read_to_string(at("losses.svg")).expect("a picture");
    assert_eq!(svg.matches("<polyline").count(), 2);
    let json = text(&unmask(&["runs", "--json", &at("runs")]).stdout);
    let lines: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((lines.len(), lines[0]["step"].as_u64(), lines[1]["seed"].as_u64()), (2, Some(4), Some(2)));
    assert!(lines[0]["held_out_loss"].as_f64().is_some_and(|loss| loss > 0.0));
    // What the untrained model reached is no result of a run, nor its best weights.
    let spoilt = at("runs/spoilt");
    let settings = ["train", "--quiet", "--steps", "2", "--batch", "4", "--eval-every", "2", "--warmup-steps", "0"];
    let done = unmask(&[&settings[..], &["--blr", "60", "--out", &spoilt]].concat());
    assert!(done.status.success(), "{}", text(&done.stderr));
    let line = crate::json(unmask(&["runs", "--json", &spoilt]));
    assert_eq!(line["best_step"].as_u64(), Some(2), "{line}");
    let none = unmask(&["runs", &at("nothing")]);
    assert!(text(&none.stderr).contains("no run here or below"), "{}", text(&none.stderr));
}

#[test]
fn data_are_checked_and_rates_are_found() {
    let check = text(&unmask(&["data", "check", "--json", "sample"]).stdout);
    let check: serde_json::Value = serde_json::from_str(&check).expect("one object");
    assert_eq!((check["pictures"].as_u64(), check["readable"].as_u64()), (Some(231), Some(231)));
    assert_eq!(check["formats"]["JPEG"].as_u64(), Some(231));

    let folder = tempfile::tempdir().expect("a folder");
    let place = pictures(folder.path(), 2);
    for name in ["a.heic", "b.HEIC", "c.ppm", "no-ending", ".hidden"] {
        fs::write(folder.path().join("pictures").join(name), "").expect("written");
    }
    let told = unmask(&["data", "check", &place]);
    let passed_over = "4 other files passed over (.heic 2, .ppm 1, without an ending 1)";
    assert!(text(&told.stdout).contains(passed_over), "{}", text(&told.stdout));
    let warned = format!("{passed_over}, more than the 2 picture files");
    assert_eq!(text(&told.stderr).matches(&warned).count(), 1, "{}", text(&told.stderr));
    let check = json(unmask(&["data", "check", "--json", &place]));
    assert_eq!(check["passed_over"], serde_json::json!({"": 1, ".heic": 2, ".ppm": 1}));

    let found = unmask(&["find-lr", "--json", "--batch", "4", "--tries", "6", "--from", "1e-3", "--to", "1"]);
    let found: serde_json::Value = serde_json::from_slice(&found.stdout).expect("one object");
    let tried = found["tried"].as_array().expect("rates");
    assert!(tried.len() == 6 && tried[5]["blr"].as_f64().is_some_and(|blr| (blr - 1.0).abs() < 1e-9), "{found}");
    let falling = found["still_falling"].as_bool().expect("told");
    assert!(!falling || found["blr"].is_null(), "{found}");
}

/// A tar archive of one picture.
fn shard() -> Vec<u8> {
    let mut picture = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(8, 8, image::Rgb([9, 99, 199]))
        .write_to(&mut picture, image::ImageFormat::Png)
        .expect("encoded");
    let picture = picture.into_inner();
    let mut header = tar::Header::new_gnu();
    header.set_size(picture.len() as u64);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, "a.png", picture.as_slice()).expect("appended");
    archive.into_inner().expect("an archive")
}

#[test]
fn several_sets_may_stand_behind_one_option() {
    let folder = tempfile::tempdir().expect("a folder");
    let shards = ["0.tar", "1.tar"].map(|name| folder.path().join(name).display().to_string());
    shards.iter().for_each(|shard| fs::write(shard, self::shard()).expect("written"));
    let checked = json(unmask(&["data", "check", "--json", &shards[0], &shards[1]]));
    assert_eq!(checked["pictures"].as_u64(), Some(2));
    // They are all taken up: what is missing is what is told of.
    let missing = folder.path().join("2.tar").display().to_string();
    for command in [&["train", "--out", "no-such/run"][..], &["find-lr"], &["probe"]] {
        let failed = unmask(&[command, &["--data", &shards[0], &shards[1], &missing, "--seed", "1"]].concat());
        let said = text(&failed.stderr);
        assert!(
            failed.status.code() == Some(1) && said.contains("2.tar: no such folder or file"),
            "{command:?}: {said}"
        );
    }
}

#[cfg(unix)]
#[test]
fn no_shard_is_left_out_for_want_of_room_or_of_files() {
    use std::io::Write as _;
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().display().to_string();
    for index in 0..100 {
        fs::write(folder.path().join(format!("{index}.tar")), shard()).expect("written");
    }
    let check = r#"ulimit -n 40 && exec "$0" data check "$1""#;
    let few = Command::new("sh").args(["-c", check, env!("CARGO_BIN_EXE_unmask"), &place]).output().expect("a shell");
    let said = text(&few.stderr);
    assert!(few.status.code() == Some(1) && said.contains(".tar: cannot be read: ") && few.stdout.is_empty(), "{said}");
    assert!(said.contains("Too many open files") && !said.contains("left out"), "{said}");

    let packed = fs::File::create(folder.path().join("x.tar.gz")).expect("made");
    let mut packed = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
    packed.write_all(&shard()).expect("written");
    packed.finish().expect("written");
    let whole = json(unmask(&["data", "check", "--json", &place]));
    assert_eq!(whole["pictures"].as_u64(), Some(101));
    let nowhere = folder.path().join("no-such");
    let failed = program().args(["data", "check", &place]).env("TMPDIR", nowhere).output().expect("the program runs");
    let said = text(&failed.stderr);
    let expected = "x.tar.gz: cannot be read: unpacking it to temporary storage failed: ";
    assert!(failed.status.code() == Some(1) && said.contains(expected), "{said}");
}

#[test]
fn rates_are_tried_on_the_weights_and_pixels_that_training_would_have() {
    let rates = ["find-lr", "--batch", "4", "--tries", "2", "--from", "1e-6", "--to", "1e-5"];
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/weights");
    let name = names(&weights).into_iter().find(|name| name.ends_with(".safetensors")).expect("shipped weights");
    let weights = weights.join(name).display().to_string();
    let loss = |more: &[&str]| {
        let found = json(unmask(&[&rates[..], &["--json"], more].concat()));
        found["tried"][0]["loss"].as_f64().expect("a loss")
    };
    let (random, trained) = (loss(&[]), loss(&["--init", &weights]));
    assert!(trained < 0.8 * random, "{trained} with trained weights, {random} with random ones");
    let failed = unmask(&[&rates[..], &["--init", "no-such.safetensors"]].concat());
    assert!(text(&failed.stderr).contains("no-such.safetensors"), "{}", text(&failed.stderr));

    let folder = tempfile::tempdir().expect("a folder");
    let (nano, data) = (nano(folder.path()), pictures(folder.path(), 12));
    let found = unmask(&[&rates[..], &["--model", &nano, "--data", &data, "--data-stats"]].concat());
    let said = text(&found.stderr);
    assert!(found.status.success() && said.contains("pixels    mean ["), "{said}");
}

#[test]
fn a_reader_that_leaves_ends_what_is_printed_without_a_word() {
    for arguments in [&["data", "check", "--full", "sample"][..], &["completions", "bash"], &["info"]] {
        let mut child = start(arguments);
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        // Drivers say there what they like, errors of their own too.
        let said = text(&output.stderr);
        let complaints = ["nobody reads", "os error", "panicked"];
        assert!(!complaints.iter().any(|complaint| said.contains(complaint)), "{arguments:?}: {said}");
    }
    // Nor does it matter whether anybody reads what is said beside.
    let mut child = start(&["train", "--model", "giant"]);
    drop(child.stderr.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
}

#[test]
fn training_that_nobody_listens_to_any_more_is_saved() {
    let folder = tempfile::tempdir().expect("a folder");
    let (nano, data, out) = (nano(folder.path()), pictures(folder.path(), 12), folder.path().join("run"));
    let run =
        ["train", "--json", "--model", &nano, "--data", &data, "--batch", "4", "--out", out.to_str().expect("UTF-8")];
    let mut child = start(&[&run[..], &["--steps", "1000000", "--checkpoint-every", "0"]].concat());
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("\"loss\""))).expect("a step").expect("a line");
    drop(lines);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let saved = names(&out.join("checkpoints"));
    assert!(saved.iter().any(|name| name.starts_with("step-")), "{saved:?}");
}

#[test]
fn a_demo_replaces_the_last_one_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("demo").display().to_string();
    let demo = || json(unmask(&["demo", "--json", "--seconds", "0.2", "--out", &out]));
    let events = |run: &Path| names(run).iter().filter(|name| name.contains("tfevents")).count();
    for _ in 0..2 {
        let told = demo();
        assert_eq!(told["out"].as_str(), Some(out.as_str()));
        assert!(told["held_out_loss"].as_f64().is_some_and(|loss| loss > 0.0), "{told}");
        assert_eq!(events(Path::new(&out)), 1);
    }
    let recipe = unmask::train::Recipe::load(&format!("{out}/recipe.toml")).expect("a recipe");
    assert!(recipe.train.checkpoint_every > 0 && recipe.train.eval_every > 0);

    let more = unmask(&["train", "--quiet", "--resume", "--out", &out, "--stop-after", "1"]);
    assert!(more.status.success(), "{}", text(&more.stderr));
    let before = names(&Path::new(&out).join("checkpoints"));
    let told = demo();
    assert_eq!(told["out"].as_str(), Some(format!("{out}-2").as_str()));
    assert_eq!(names(&Path::new(&out).join("checkpoints")), before);
}

#[test]
fn pictures_that_cannot_be_read_hold_up_none_of_the_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = pictures(folder.path(), 2);
    fs::write(Path::new(&data).join("0-broken.png"), "no picture").expect("written");
    let place = |name: &str| folder.path().join(name).display().to_string();
    let (out, pixels) = (place("results.v2"), place("pixels.safetensors"));
    // A file that exists and whose bytes cannot be had, whoever asks.
    let unreadable = if cfg!(target_os = "linux") { "/proc/self/mem" } else { data.as_str() };
    let result = unmask(&["reconstruct", unreadable, &data, "--out", &out, "--pixels", &pixels]);
    let said = text(&result.stderr);
    assert!(result.status.success() && said.contains("0-broken.png"), "{said}");
    assert!(!cfg!(target_os = "linux") || said.contains("skipped: /proc/self/mem"), "{said}");
    let strips = names(Path::new(&out));
    assert!(strips.len() >= 2 && strips.iter().all(|name| name.ends_with("-reconstruction.png")), "{strips:?}");
    let tensors = unmask::weights::Tensors::open(Path::new(&pixels)).expect("tensors");
    assert_eq!(tensors.shapes().len(), 3 * strips.len());
    let number = strips[0][..4].parse::<usize>().expect("a number");
    assert!(tensors.expect(&format!("{number}/input"), &[3, 64, 64]).is_ok(), "{:?}", tensors.shapes());

    let refused = unmask(&["reconstruct", &data, "--out", &place("strips.webp")]);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(said.contains("strips.webp: there are 3 pictures; expected a folder"), "{said}");
    assert!(!PathBuf::from(place("strips.webp")).exists());
}

#[test]
fn averages_of_a_run_are_known_when_it_is_converted() {
    let folder = tempfile::tempdir().expect("a folder");
    let (nano, data, out) = (nano(folder.path()), pictures(folder.path(), 12), folder.path().join("run"));
    let run = ["train", "--quiet", "--model", &nano, "--data", &data, "--batch", "4", "--steps", "1"];
    let done = unmask(&[&run[..], &["--ema-decay", "0.9", "--out", &out.display().to_string()]].concat());
    assert!(done.status.success(), "{}", text(&done.stderr));
    let checkpoint = out.join("checkpoints/step-1.safetensors").display().to_string();
    let to = folder.path().join("weights.safetensors").display().to_string();
    let odd = folder.path().join("odd.png").display().to_string();
    let failed = unmask(&["convert", &checkpoint, &odd, "--to", "native"]);
    assert!(text(&failed.stderr).contains("expected a name that ends in .safetensors"), "{}", text(&failed.stderr));
    let said = text(&unmask(&["convert", &checkpoint, &to, "--to", "timm"]).stderr);
    let left = said.lines().find(|line| line.starts_with("left out: ")).expect("a decoder");
    assert!(left.contains(" more") && left.len() < 400, "{left}");
    let convert = ["convert", &checkpoint, &to, "--to", "native"];
    let told = json(unmask(&[&convert[..], &["--json"]].concat()));
    assert_eq!((&told["leftover"], &told["averages_left_out"]), (&serde_json::json!([]), &true.into()));
    let said = text(&unmask(&convert).stderr);
    assert!(said.contains("unmask export --ema") && !said.contains("unknown"), "{said}");
    let features = folder.path().join("features.npy").display().to_string();
    let said = text(&unmask(&["embed", &data, "--weights", &checkpoint, "--out", &features]).stderr);
    assert!(said.contains("unmask export --ema"), "{said}");
    let told = json(unmask(&["embed", &data, "--weights", &checkpoint, "--out", &features, "--json"]));
    assert_eq!((&told["assumed"], &told["averages_left_out"]), (&serde_json::json!([]), &true.into()));

    // Nobody's but the run's.
    let state = || (fs::read(&checkpoint).expect("a checkpoint"), names(&out.join("checkpoints")));
    let before = state();
    let picture = Path::new(&data).join("0.png").display().to_string();
    let to_hf = out.join("checkpoints").display().to_string();
    for arguments in [
        &["convert", &checkpoint, &checkpoint, "--to", "native"][..],
        &["convert", &checkpoint, &to_hf, "--to", "hf"],
        &["reconstruct", &picture, "--pixels", &checkpoint],
    ] {
        let failed = unmask(arguments);
        let said = text(&failed.stderr);
        assert!(failed.status.code() == Some(1) && said.contains("the checkpoints of the run in"), "{said}");
    }
    assert!(state() == before);
}

#[test]
fn a_runs_weights_or_their_averages_are_exported_in_32_or_16_bits() {
    let folder = tempfile::tempdir().expect("a folder");
    let (nano, data, out) = (nano(folder.path()), pictures(folder.path(), 12), folder.path().join("run"));
    let run = ["train", "--quiet", "--model", &nano, "--data", &data, "--batch", "4", "--steps", "3"];
    let more = ["--warmup-steps", "0", "--ema-decay", "0.9", "--out", &out.display().to_string()];
    let done = unmask(&[&run[..], &more].concat());
    assert!(done.status.success(), "{}", text(&done.stderr));
    let checkpoint = out.join("checkpoints/step-3.safetensors");
    let saved = unmask::train::Checkpoint::read(&checkpoint).expect("whole");
    let (weights, averages) = (saved.weights.tensors, saved.average.expect("averages").tensors);
    let exported = |more: &[&str]| {
        let to = folder.path().join("exported.safetensors");
        let (from, to_text) = (checkpoint.display().to_string(), to.display().to_string());
        let told = json(unmask(&[&["export", &from, "--out", &to_text, "--json"], more].concat()));
        assert_eq!(told["step"].as_u64(), Some(3), "{told}");
        unmask::weights::Tensors::open(&to).expect("tensors").read_all().expect("numbers").tensors
    };
    assert!(exported(&[]) == weights);
    // What a run needs stays its own.
    for (to, expected) in [
        (checkpoint.clone(), "the checkpoints of the run in"),
        (out.join("recipe.toml"), "recipe.toml: expected a name that ends in .safetensors"),
    ] {
        let before = fs::read(&to).expect("a file");
        let failed = unmask(&["export", &out.display().to_string(), "--out", &to.display().to_string()]);
        let said = text(&failed.stderr);
        assert!(failed.status.code() == Some(1) && said.contains(expected), "{said}");
        assert!(fs::read(&to).expect("a file") == before);
    }
    let (wide, half) = (exported(&["--ema"]), exported(&["--ema", "--f16"]));
    assert!(wide.keys().eq(weights.keys()) && half.keys().eq(weights.keys()));
    for (name, weights) in &weights {
        // Tables of positions stay as they are.
        let want = averages.get(name).unwrap_or(weights);
        assert!(!averages.contains_key(name) || name.ends_with("k_proj.bias") || want != weights, "{name} has moved");
        assert!(&wide[name] == want, "{name}");
        let rounded: Vec<f32> = want.data.iter().map(|x| half::f16::from_f32(*x).to_f32()).collect();
        assert!(half[name].shape == want.shape && half[name].data == rounded, "{name} in 16 bits");
    }
}

#[test]
fn what_is_guessed_of_weights_and_what_is_wrong_with_them_is_told_when_they_are_converted() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (from, to) = (at("bare.safetensors"), at("timm.safetensors"));
    let mut bare = unmask::weights::shipped().expect("weights");
    bare.metadata.clear();
    let mut write = |number: f32| {
        bare.tensors.get_mut("vit.layernorm.weight").expect("a tensor").data[3] = number;
        unmask::weights::write_tensors(Path::new(&from), &bare, unmask::weights::Storage::F32).expect("written");
    };
    let convert = |more: &[&str]| unmask(&[&["convert", &from, &to, "--to", "timm"], more].concat());
    write(1e5);
    let said = text(&convert(&["--f16"]).stderr);
    assert!(said.contains("\"vit.layernorm.weight\" holds 100000") && said.contains("leave --f16 out"), "{said}");
    write(f32::NAN);
    let failed = convert(&[]);
    let said = text(&failed.stderr);
    assert!(
        failed.status.code() == Some(1) && said.contains("bare.safetensors: tensor") && said.contains("NaN"),
        "{said}"
    );
    assert_eq!(names(folder.path()), ["bare.safetensors"]);

    write(1.0);
    let done = convert(&[]);
    let said = text(&done.stderr);
    assert!(done.status.success() && said.contains("--heads and --decoder-heads say otherwise"), "{said}");
    assert!(said.contains("pixels   mean [0.485, 0.456, 0.406], deviation"), "{said}");
    let metadata = unmask::weights::Tensors::open(Path::new(&to)).expect("tensors").metadata;
    let told = ["image_size", "pixel_mean"].map(|key| metadata.get(key).map(String::as_str));
    assert_eq!(told, [Some("64"), Some("[0.485, 0.456, 0.406]")]);
}

#[test]
fn a_recipe_is_read_as_powershell_writes_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.toml").display().to_string();
    let recipe = text(&unmask(&["recipe", "small-data"]).stdout);
    let bytes: Vec<u8> = format!("\u{feff}{recipe}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(&file, bytes).expect("written");
    let read = unmask(&["recipe", &file]);
    assert!(read.status.success(), "{}", text(&read.stderr));
    assert_eq!(text(&read.stdout), recipe);
}
