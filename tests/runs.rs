//! Runs that meet trouble: kills at any instant, full disks, altered files.

#[path = "common/left_out.rs"]
mod left_out;
#[path = "common/nano.rs"]
mod nano;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nano::{PICTURES, RECIPE};
use unmask::eval::kernels::Random;
use unmask::train::{Checkpoint, MetricsLine, Recipe, RunFolder, read_metrics};

/// Kills of one run.
const KILLS: usize = 50;

/// The small model, to be measured and saved every five steps, and pictures of noise in `folder`.
fn prepare(folder: &Path, change: impl FnOnce(&mut Recipe)) {
    let mut random = Random(5);
    nano::prepare(
        folder,
        |_, _, _| [0; 3].map(|_| random.bits() as u8),
        |recipe| {
            recipe.train.data = vec![folder.join(PICTURES).display().to_string()];
            recipe.train.ema_decay = 0.99;
            recipe.train.eval_every = 5;
            recipe.train.checkpoint_every = 5;
            recipe.train.seed = 8;
            change(recipe);
        },
    );
}

/// `unmask train` in `folder`.
fn train(folder: &Path, out: &Path, resume: bool) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unmask"));
    command.current_dir(folder).args(["train", "--json", "--model", RECIPE, "--out"]).arg(out);
    command.args(resume.then_some("--resume"));
    // Not the user's own.
    command.env("UNMASK_CACHE", env!("CARGO_TARGET_TMPDIR"));
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn succeed(mut command: Command) {
    let output = command.output().expect("the program");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn checkpoints(out: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(out.join("checkpoints")).expect("a folder");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// What a run wrote of its steps, but for its speed.
fn lines(out: &Path) -> Vec<MetricsLine> {
    let line = |line: MetricsLine| MetricsLine { images_per_s: None, ..line };
    read_metrics(out).into_iter().map(line).collect()
}

/// Steps that a run has told of on its standard output, which went to `file`.
fn steps_told(file: &Path) -> Vec<u64> {
    let told = String::from_utf8_lossy(&fs::read(file).expect("read")).into_owned();
    // The last line may be torn.
    let events = told.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    events.filter(|event| event["event"] == "step").filter_map(|event| event["step"].as_u64()).collect()
}

/// Waits until `child` has told of `count` steps, or has ended.
fn wait_for_steps(child: &mut Child, told: &Path, count: usize) {
    let start = Instant::now();
    while steps_told(told).len() < count && child.try_wait().expect("a status").is_none() {
        assert!(start.elapsed() < Duration::from_secs(120), "nothing happens");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_run_that_is_killed_fifty_times_ends_with_the_same_bits() {
    let folder = tempfile::tempdir().expect("a folder");
    let steps = 900;
    prepare(folder.path(), |recipe| {
        recipe.train.steps = steps;
        recipe.train.eval_every = 10;
    });
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let start = Instant::now();
    succeed(train(folder.path(), &whole, false));
    let undisturbed = start.elapsed();
    let start = Instant::now();
    succeed({
        let mut command = train(folder.path(), &folder.path().join("short"), false);
        command.args(["--stop-after", "1"]);
        command
    });
    let begin = start.elapsed();
    let pace = undisturbed.saturating_sub(begin) / steps as u32;
    let mut random = Random(1);
    let (mut kills, mut midway) = (0, 0);
    let told = folder.path().join("told");
    while kills < KILLS {
        let resume = parts.join("recipe.toml").exists();
        let mut command = train(folder.path(), &parts, resume);
        let mut child = command.stdout(File::create(&told).expect("a file")).spawn().expect("the program");
        let fraction = random.below(1000) as f64 / 1000.0;
        // One in eight dies while it starts, the others within the two steps that follow one that was told of: few enough
        // steps that fifty kills come before the end.
        let wait = match kills % 8 {
            0 => begin.mul_f64(fraction),
            _ => {
                wait_for_steps(&mut child, &told, 1 + random.below(20));
                pace.mul_f64(2.0 * fraction)
            }
        };
        std::thread::sleep(wait);
        let over = child.try_wait().expect("a status").is_some();
        // On Unix this is SIGKILL: nothing of the program runs any more.
        child.kill().expect("killed");
        let output = child.wait_with_output().expect("its last words");
        if over {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "it ended by itself: {said}");
            break;
        }
        kills += 1;
        // What it says itself: the run's files may hold more from before, which it had no time to drop.
        midway += usize::from(steps_told(&told).last().is_some_and(|step| *step < steps));
    }
    println!("{kills} kills, {midway} of them in the middle of training; undisturbed {undisturbed:?}, start {begin:?}");
    assert!(midway >= KILLS / 3, "only {midway} of {kills} kills met a training run");
    succeed(train(folder.path(), &parts, parts.join("recipe.toml").exists()));

    let (a, b) = (checkpoints(&whole), checkpoints(&parts));
    let names =
        |files: &[PathBuf]| -> Vec<_> { files.iter().map(|file| file.file_name().map(ToOwned::to_owned)).collect() };
    assert_eq!(names(&a), names(&b), "the same checkpoints, and nothing half written");
    for (a, b) in a.iter().zip(&b) {
        // Numbers to the bit, and metadata, whose order in a file is left to chance.
        let [x, y] = [a, b].map(|file| Checkpoint::read(file).expect("whole"));
        assert_eq!((x.step, x.weights.metadata), (y.step, y.weights.metadata), "{}", b.display());
        for (x, y) in [(x.weights.tensors, y.weights.tensors), (x.first.tensors, y.first.tensors)]
            .into_iter()
            .chain([(x.second.tensors, y.second.tensors)])
            .chain([(x.average.expect("averages").tensors, y.average.expect("averages").tensors)])
        {
            assert!(x == y, "{} differs", b.display());
        }
    }
    same_lines(&whole, &parts);
    // A run that is over stays as it is.
    succeed(train(folder.path(), &parts, true));
    same_lines(&whole, &parts);
}

/// Two runs wrote the same metrics; shows the first lines that differ.
fn same_lines(a: &Path, b: &Path) {
    let (a, b) = (lines(a), lines(b));
    for (at, (a, b)) in a.iter().zip(&b).enumerate() {
        assert_eq!(a, b, "line {at}");
    }
    assert_eq!(a.len(), b.len(), "numbers of lines; the last: {:?}, {:?}", a.last(), b.last());
}

#[test]
fn an_altered_checkpoint_is_recognised_and_the_one_before_it_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    prepare(folder.path(), |_| ());
    let out = folder.path().join("run");
    succeed(train(folder.path(), &out, false));
    let newest = out.join("checkpoints/step-20.safetensors");
    let whole = fs::read(&newest).expect("read");
    let checkpoint = Checkpoint::read(&newest).expect("whole");
    assert_eq!(checkpoint.step, 20);
    assert!(checkpoint.held_out_loss.is_some() && checkpoint.average.is_some());
    // A bit of a weight, of a moment, and of the number of samples.
    let samples = whole.windows(9).position(|window| window == b"\"samples\"").expect("metadata") + 11;
    for at in [whole.len() - 3, whole.len() / 2, samples] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::remove_file(&newest).expect("removed");
        fs::write(&newest, &bytes).expect("written");
        let error = Checkpoint::read(&newest).expect_err("altered").to_string();
        assert!(error.contains("step-20.safetensors") && error.contains("the file was altered"), "{error}");
        let (_, recipe, checkpoint) = RunFolder::resume(&out).expect("the one before");
        assert_eq!((recipe.train.steps, checkpoint.expect("a checkpoint").step), (20, 15));
    }
}

#[test]
fn a_run_ends_early_where_nothing_is_learnt_any_more() {
    let folder = tempfile::tempdir().expect("a folder");
    prepare(folder.path(), |recipe| {
        recipe.train.steps = 500;
        // Noise cannot be learnt: with a rate of zero the loss stays where it is.
        recipe.train.blr = 0.0;
        recipe.train.early_stop = 3;
    });
    let out = folder.path().join("run");
    let output = train(folder.path(), &out, false).stdout(Stdio::piped()).output().expect("the program");
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("has not fallen for 3 measurements"), "{said}");
    assert_eq!(lines(&out).iter().map(|line| line.step).max(), Some(15), "measured at 0, 5, 10 and 15");
    assert!(out.join("checkpoints/step-15.safetensors").exists());
}

/// Trains on a small file system of its own that fills up, and then cannot be written at all. Its arguments: the program,
/// and a folder for what is to be looked at afterwards.
#[cfg(target_os = "linux")]
const SMALL_DISK: &str = r#"
set -eu
disk=$2/disk
mkdir "$disk"
mount -t tmpfs -o size=4m tmpfs "$disk"
train() { "$1" train --quiet --model nano.toml --out "$disk/run" $3 > "$2" 2>&1; }
train "$1" "$2/first.log" "--stop-after 10"
cp "$disk/run/checkpoints/step-10.safetensors" "$2/before"
cat /dev/zero > "$disk/ballast" 2> /dev/null || true
code=0; train "$1" "$2/full.log" --resume || code=$?; echo $code > "$2/full.code"
cp "$disk/run/checkpoints/step-10.safetensors" "$2/after"
ls "$disk/run/checkpoints" > "$2/full.list"
mount -o remount,ro "$disk"
code=0; train "$1" "$2/closed.log" --resume || code=$?; echo $code > "$2/closed.code"
mount -o remount,rw "$disk"
rm "$disk/ballast"
train "$1" "$2/last.log" --resume
cp "$disk/run/checkpoints/step-20.safetensors" "$2/last"
"#;

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_and_a_closed_one_leave_the_last_checkpoint_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    prepare(folder.path(), |_| ());
    let namespace = |script: &str| {
        let mut command = Command::new("unshare");
        command.current_dir(folder.path()).args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]);
        command.arg(env!("CARGO_BIN_EXE_unmask")).arg(folder.path());
        command
    };
    if !namespace("mount -t tmpfs tmpfs \"$2/pictures\"").output().is_ok_and(|output| output.status.success()) {
        // Containers often forbid it, CI's may be one.
        return left_out::left_out("runs on full and closed disks: `unshare` may not mount a file system here");
    }
    succeed(namespace(SMALL_DISK));
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).expect("read");
    for (name, trouble) in [("full", "No space left on device"), ("closed", "Read-only file system")] {
        let said = read(&format!("{name}.log"));
        assert_eq!(read(&format!("{name}.code")), "1\n", "{said}");
        assert!(said.starts_with("error: ") && said.contains("disk/run") && said.contains(trouble), "{said}");
    }
    assert!(
        fs::read(folder.path().join("before")).expect("read") == fs::read(folder.path().join("after")).expect("read")
    );
    assert!(!read("full.list").contains("step-15.safetensors"), "{}", read("full.list"));
    assert_eq!(Checkpoint::read(&folder.path().join("last")).expect("whole").step, 20);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    prepare(folder.path(), |_| ());
    // Nothing can be made below a file, whoever asks.
    fs::write(folder.path().join("file"), "text").expect("written");
    let out = folder.path().join("file/run");
    let output = train(folder.path(), &out, false).output().expect("the program");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("run folder") && said.contains("file/run"), "{said}");
}
