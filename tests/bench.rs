//! `unmask bench` by turns, as `bench/peers/run.py` speaks to it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::Value;
use unmask::weights::TensorSource as _;

#[test]
fn turns_are_answered_with_steps_that_train_from_the_dumped_case() {
    let folder = tempfile::tempdir().expect("a folder");
    let case = folder.path().join("case.safetensors");
    let mut program = Command::new(env!("CARGO_BIN_EXE_unmask"))
        .args(["bench", "--model", "micro", "--batch", "2", "--turns", "--dump", &case.display().to_string()])
        // Not the user's own.
        .env("UNMASK_CACHE", env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut stdin = program.stdin.take().expect("a pipe");
    let mut lines = BufReader::new(program.stdout.take().expect("a pipe")).lines();
    let mut answer = || -> Value {
        let line = lines.next().expect("a line").expect("text");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
    };
    let ready = answer();
    assert_eq!((&ready["ready"], &ready["name"], &ready["batch"]), (&true.into(), &"unmask".into(), &2.into()));
    assert!(ready["adapter"].as_str().is_some_and(|name| !name.is_empty()), "{ready}");

    // The case is there before the first step.
    let tensors = unmask::weights::Tensors::open(&case).expect("a case");
    let expected = tensors.get("expect/loss", &[1]).expect("a loss").data[0];
    tensors.get("param/decoder.mask_token", &[1, 1, 64]).expect("weights");

    let mut losses = Vec::new();
    for steps in [2, 3] {
        writeln!(stdin, "{steps}").expect("it listens");
        let turn = answer();
        let times: Vec<f64> = serde_json::from_value(turn["ms"].clone()).expect("numbers");
        let more: Vec<f64> = serde_json::from_value(turn["losses"].clone()).expect("numbers");
        assert!(times.len() == steps && more.len() == steps && times.iter().all(|ms| *ms > 0.0), "{turn}");
        losses.extend(more);
    }
    assert_eq!(losses[0] as f32, expected, "the first step starts from the dumped weights");
    assert!(losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
    assert!(losses.windows(2).all(|pair| pair[1] < pair[0]), "a small fixed batch is learned by heart: {losses:?}");
    drop(stdin);
    assert!(program.wait().expect("an end").success());
}
