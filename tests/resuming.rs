//! Runs that go on: with settings given anew, from given weights, beside another process.

#[path = "common/nano.rs"]
mod nano;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nano::{PICTURES, RECIPE};
use unmask::data;
use unmask::train::{Checkpoint, MetricsLine, Recipe, RunFolder, read_metrics};

/// The small model and its pictures in `folder`, with neither measurements nor checkpoints but at the ends.
fn prepare(folder: &Path, change: impl FnOnce(&mut Recipe)) {
    let colour = |index, x, y| [x * index, y * index, x * y].map(|x| x as u8);
    nano::prepare(folder, colour, |recipe| {
        recipe.train.warmup_steps = 2;
        recipe.train.eval_every = 0;
        recipe.train.checkpoint_every = 0;
        change(recipe);
    });
}

/// `unmask` in `folder`.
fn unmask(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unmask"));
    command.current_dir(folder).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Not the user's own.
    command.env("UNMASK_CACHE", env!("CARGO_TARGET_TMPDIR"));
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let output = unmask(folder, arguments).output().expect("the program");
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    said(&output)
}

fn fail(folder: &Path, arguments: &[&str]) -> String {
    let output = unmask(folder, arguments).output().expect("the program");
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", said(&output));
    said(&output)
}

/// A run of ten of its twenty steps, and its folder.
fn half(folder: &Path) -> PathBuf {
    succeed(folder, &["train", "--quiet", "--model", RECIPE, "--out", "run", "--stop-after", "10"]);
    folder.join("run")
}

fn recipe(run: &Path) -> Recipe {
    RunFolder::recipe(run).expect("a recipe")
}

#[test]
fn what_may_change_is_taken_up_when_a_run_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    prepare(folder.path(), |_| ());
    let run = half(folder.path());
    fs::rename(folder.path().join(PICTURES), folder.path().join("moved")).expect("renamed");
    let resume = ["train", "--quiet", "--resume", "--out", "run"];
    let with = |more: &[&str]| succeed(folder.path(), &[&resume, more].concat());
    with(&["--data", "moved", "--blr", "0.5", "--clip-grad", "1", "--checkpoint-every", "3", "--stop-after", "5"]);
    let now = recipe(&run);
    assert_eq!((now.train.blr, now.train.clip_grad, now.train.checkpoint_every), (0.5, 1.0, 3));
    let saved = |step: u64| Checkpoint::read(&run.join(format!("checkpoints/step-{step}.safetensors"))).expect("whole");
    assert_eq!(saved(12).recipe, now, "the checkpoints go on with it");
    let rate = |step: u64| read_metrics(&run).into_iter().find(|line| line.step == step).and_then(|line| line.lr);
    let expected = now.schedule().at(12);
    assert_eq!(rate(13), Some(expected));

    // Settings that were given once stay.
    with(&["--epochs", "5", "--stop-after", "1"]);
    let place = folder.path().join("moved").display().to_string();
    let pictures = data::open_all(std::slice::from_ref(&place)).expect("pictures").1.train.len() as u64;
    let longer = recipe(&run);
    assert_eq!(longer.train.steps, (5 * pictures).div_ceil(2), "of the run's own pictures and batch");
    assert_eq!((longer.train.blr, longer.train.data), (0.5, vec![place]), "the place in full");
}

#[test]
fn a_run_goes_on_from_anywhere_and_tells_where_its_pictures_are_others() {
    let folder = tempfile::tempdir().expect("a folder");
    prepare(folder.path(), |recipe| recipe.train.eval_every = 5);
    let run = half(folder.path());
    let elsewhere = folder.path().join("elsewhere");
    // Other pictures of the same name, which the run has nothing to do with.
    fs::create_dir_all(elsewhere.join(PICTURES)).expect("a folder");
    let out = run.display().to_string();
    let resume = ["train", "--resume", "--out", &out, "--stop-after", "1"];
    let text = succeed(&elsewhere, &resume);
    assert!(text.contains("18 to train on") && !text.contains("has trained on"), "{text}");

    let best = Checkpoint::read(&RunFolder::best(&run).expect("saved")).expect("whole");
    let pictures = folder.path().join(PICTURES);
    for index in 0..20 {
        fs::copy(pictures.join(format!("{index}.png")), pictures.join(format!("more-{index}.png"))).expect("copied");
    }
    let text = succeed(&elsewhere, &resume);
    assert!(text.contains("has trained on 18 pictures so far and goes on with 36 pictures"), "{text}");
    let kept = run.join(format!("checkpoints/best-step-{}.safetensors", best.step));
    assert!(text.contains(&format!("best-step-{}.safetensors", best.step)), "{text}");
    assert_eq!(Checkpoint::read(&kept).expect("whole").held_out_loss, best.held_out_loss);
    let newer = Checkpoint::read(&RunFolder::best(&run).expect("saved anew")).expect("whole");
    assert_eq!(newer.step, 12);

    // As a crash leaves it: with a line after the newest checkpoint, which goes when the run goes on and not before.
    let line = serde_json::to_string(&MetricsLine { step: 99, loss: Some(9.0), ..MetricsLine::default() });
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).expect("read") + &line.expect("a line") + "\n";
    fs::write(run.join("metrics.jsonl"), &metrics).expect("written");
    let files = || fs::read_dir(&run).expect("a folder").flatten().map(|entry| entry.file_name()).collect::<Vec<_>>();
    let before = files();
    fs::rename(&pictures, folder.path().join("moved")).expect("renamed");
    let text = fail(&elsewhere, &resume);
    assert!(text.contains(&pictures.display().to_string()) && text.contains("--data says where"), "{text}");
    assert_eq!(fs::read_to_string(run.join("metrics.jsonl")).expect("read"), metrics);
    assert_eq!(files().len(), before.len(), "an event file: {before:?}");
}

#[test]
fn sets_of_one_s_own_are_held_out() {
    let folder = tempfile::tempdir().expect("a folder");
    prepare(folder.path(), |_| ());
    let other = folder.path().join("other");
    fs::create_dir(&other).expect("a folder");
    for index in 0..5 {
        let from = folder.path().join(PICTURES).join(format!("{index}.png"));
        fs::copy(from, other.join(format!("{index}.png"))).expect("copied");
    }
    let train = ["train", "--model", RECIPE, "--out", "run", "--held-out", "other", "--stop-after", "1"];
    let text = succeed(folder.path(), &train);
    assert!(text.contains("20 to train on"), "{text}");
    let run = folder.path().join("run");
    assert_eq!(recipe(&run).train.held_out, [other.display().to_string()]);
    let measured = |run: &Path| read_metrics(run).into_iter().find_map(|line| line.measured);
    let first = measured(&run);
    fs::rename(&other, folder.path().join("moved")).expect("renamed");
    let text = fail(folder.path(), &["train", "--resume", "--out", "run"]);
    assert!(text.contains(&other.display().to_string()), "{text}");
    succeed(folder.path(), &["train", "--resume", "--out", "run", "--held-out", "moved", "--stop-after", "1"]);
    assert_eq!((measured(&run), first.is_some()), (first, true), "the same pictures, wherever they lie");
}

#[test]
fn warm_up_takes_its_share_of_epochs_unless_it_is_given() {
    let folder = tempfile::tempdir().expect("a folder");
    // 2 of 20 steps, of which 18 pictures in batches of 2 take 9 a pass.
    prepare(folder.path(), |_| ());
    let begun = |name: &str, more: &[&str]| {
        let train = ["train", "--model", RECIPE, "--out", name, "--epochs", "10", "--stop-after", "1"];
        let text = succeed(folder.path(), &[&train[..], more].concat());
        assert!(text.contains("steps     90 of 2 pictures, 10.0 passes over them"), "{text}");
        let train = recipe(&folder.path().join(name)).train;
        (train.steps, train.warmup_steps)
    };
    assert_eq!(begun("share", &[]), (90, 9));
    assert_eq!(begun("given", &["--warmup-steps", "4"]), (90, 4));
}

/// What cannot be read may be there all the same, and must not be written over.
#[test]
fn metrics_that_cannot_be_read_are_not_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    prepare(folder.path(), |_| ());
    let run = half(folder.path());
    let metrics = run.join("metrics.jsonl");
    fs::rename(&metrics, run.join("kept.jsonl")).expect("renamed");
    fs::create_dir(&metrics).expect("a folder in its place");
    let text = fail(folder.path(), &["train", "--resume", "--out", "run"]);
    assert!(text.contains("metrics.jsonl cannot be read"), "{text}");
    assert!(metrics.is_dir());
}

/// By Ctrl-C, and by what a shutdown sends: several signals at a time.
#[cfg(unix)]
#[test]
fn a_run_that_is_asked_to_end_saves_first() {
    let folder = tempfile::tempdir().expect("a folder");
    prepare(folder.path(), |recipe| recipe.train.steps = 1_000_000);
    for (name, signals) in [("stopped", &["-INT"][..]), ("shut-down", &["-TERM", "-HUP", "-TERM"])] {
        let run = folder.path().join(name);
        let arguments = ["train", "--model", RECIPE, "--out", name];
        let child = unmask(folder.path(), &arguments).spawn().expect("the program");
        wait(|| read_metrics(&run).len() > 2);
        for signal in signals {
            let sent = Command::new("kill").args([*signal, &child.id().to_string()]).status().expect("kill");
            assert!(sent.success());
        }
        let output = child.wait_with_output().expect("ended");
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let (_, checkpoint) = RunFolder::newest(&run).expect("a run").expect("saved");
        let done = read_metrics(&run).iter().filter(|line| line.loss.is_some()).map(|line| line.step).max();
        assert_eq!(Some(checkpoint.step), done, "{}", said(&output));
    }
}

#[test]
fn what_cannot_change_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    prepare(folder.path(), |_| ());
    let run = half(folder.path());
    let before = fs::read_to_string(run.join("recipe.toml")).expect("read");
    let cases: [(&[&str], [&str; 2]); 7] = [
        (&["--batch", "4"], ["batch = 4", "batch = 2"]),
        (&["--seed", "9"], ["seed = 9", "seed = 0"]),
        (&["--accumulate", "2"], ["accumulate = 2", "accumulate = 1"]),
        (&["--precision", "mixed"], ["precision = \"mixed\"", "precision = \"f32\""]),
        (&["--no-augment"], ["augment = \"centre-crop\"", "augment = \"random-crop\""]),
        (&["--model", "mini"], ["the run has ", "cannot change"]),
        (&["--steps", "12"], ["steps = 12", "steps = 20"]),
    ];
    for (given, wanted) in cases {
        let text = fail(folder.path(), &[&["train", "--resume", "--out", "run"], given].concat());
        assert!(wanted.iter().all(|wanted| text.contains(wanted)), "{given:?}: {text}");
    }
    assert_eq!(fs::read_to_string(run.join("recipe.toml")).expect("read"), before, "nothing of it is kept");
    // The file that the run was started with says the same as the run.
    succeed(folder.path(), &["train", "--quiet", "--resume", "--out", "run", "--model", RECIPE]);
    assert_eq!(read_metrics(&run).last().map(|line| line.step), Some(20));

    let text = succeed(folder.path(), &["train", "--resume", "--out", "run"]);
    assert!(text.contains("complete already: 20 of 20 steps; --steps with a larger number goes on"), "{text}");
    let more = ["train", "--resume", "--out", "run", "--steps", "22", "--stop-after", "1"];
    let text = succeed(folder.path(), &more);
    assert!(text.contains("stopped at 21 of 22 steps, everything saved; --resume goes on"), "{text}");
}

#[test]
fn a_run_from_given_weights_goes_on_from_them_when_it_is_killed_at_its_start() {
    let folder = tempfile::tempdir().expect("a folder");
    prepare(folder.path(), |recipe| recipe.train.steps = 20_000);
    let place = folder.path();
    succeed(place, &["train", "--quiet", "--model", RECIPE, "--out", "first", "--stop-after", "30"]);
    let train = |out: &'static str| {
        ["train", "--quiet", "--model", RECIPE, "--init", "first/checkpoints/best.safetensors", "--out", out]
    };
    succeed(place, &[&train("whole")[..], &["--stop-after", "2"]].concat());
    let mut child = unmask(place, &train("killed")).spawn().expect("the program");
    let killed = place.join("killed");
    wait(|| !read_metrics(&killed).is_empty());
    child.kill().expect("killed");
    child.wait().expect("ended");
    let names = fs::read_dir(killed.join("checkpoints")).expect("a folder");
    assert!(names.flatten().all(|entry| entry.file_name() == "step-0.safetensors"), "it had no time for others");
    succeed(place, &["train", "--quiet", "--resume", "--out", "killed", "--stop-after", "2"]);
    let lines = |run: &str| -> Vec<MetricsLine> {
        read_metrics(&place.join(run)).into_iter().map(|line| MetricsLine { images_per_s: None, ..line }).collect()
    };
    assert_eq!(lines("whole"), lines("killed"));
}

#[test]
fn weights_of_another_model_are_refused_before_the_pictures_are_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    prepare(folder.path(), |_| ());
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/weights/micro.safetensors").display().to_string();
    let train = ["train", "--model", RECIPE, "--out", "run", "--data", "nowhere", "--init", &weights];
    let text = fail(folder.path(), &train);
    let (made, asked) =
        ("was made with width = 128, depth = 4, heads = 4", "expected width = 16, depth = 1, heads = 1");
    assert!(text.contains(made) && text.contains(asked) && text.contains("\"micro\" has it"), "{text}");
    assert!(!folder.path().join("run").exists());
}

/// Waits until `done`.
fn wait(done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(120), "nothing happens");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_folder_is_written_by_one_process_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    prepare(folder.path(), |recipe| recipe.train.steps = 1_000_000);
    let place = folder.path();
    let mut child =
        unmask(place, &["train", "--quiet", "--model", RECIPE, "--out", "run"]).spawn().expect("the program");
    let run = place.join("run");
    wait(|| read_metrics(&run).len() > 2);
    let text = fail(place, &["train", "--resume", "--out", "run"]);
    assert!(text.contains("run folder run: ") && text.contains("writes this run at the moment"), "{text}");
    assert!(cfg!(windows) || text.contains(&format!("process {} ", child.id())), "{text}");
    assert!(child.try_wait().expect("a status").is_none(), "the first goes on");
    child.kill().expect("killed");
    child.wait().expect("ended");
    // The system gives back what a dead process held.
    succeed(place, &["train", "--quiet", "--resume", "--out", "run", "--stop-after", "1"]);
    // Said before the data are looked at.
    let text = fail(place, &["train", "--model", RECIPE, "--data", "nowhere", "--out", "run"]);
    assert!(text.contains("holds a run already"), "{text}");
}

#[test]
fn the_best_weights_are_saved_when_they_are_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    prepare(folder.path(), |recipe| recipe.train.eval_every = 4);
    let run = half(folder.path());
    let measured = read_metrics(&run).into_iter().filter_map(|line| Some((line.step, line.held_out_loss?)));
    let measured: Vec<(u64, f64)> = measured.collect();
    assert_eq!(measured.iter().map(|(step, _)| *step).collect::<Vec<u64>>(), [0, 4, 8, 10], "and where it stopped");
    let (step, loss) = *measured[1..].iter().min_by(|a, b| a.1.total_cmp(&b.1)).expect("some");
    let best = Checkpoint::read(&RunFolder::best(&run).expect("saved")).expect("whole");
    assert_eq!(best.step, step);
    assert!((best.held_out_loss.expect("measured") - loss).abs() < 1e-12);
    assert!(best.first.tensors.is_empty(), "weights alone");

    succeed(folder.path(), &["export", "run", "--out", "best.safetensors"]);
    fs::remove_file(run.join("checkpoints/best.safetensors")).expect("removed");
    let text = succeed(folder.path(), &["export", "run", "--out", "newest.safetensors"]);
    assert!(text.contains("using the newest") && text.contains("(step 10)"), "{text}");
}
