//! Tiles are measured once, remembered, pinned by checkpoints where they alter bits, and change no bit of products.

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Random, random_input, run_bits_on};
use unmask::gpu::{Gpu, GpuOptions};
use unmask::graph::{Caps, Choices, Graph, Layout, TensorType, Var};
use unmask::ops::{self, Form, TILES, TileTime, matmul, time_tiles, tune, tune_within};

/// The variable by which a test knows the process that it started itself, with a cache folder of its own.
const AGAIN: &str = "UNMASK_TUNING_AGAIN";
/// A file that holds what was measured on another adapter.
const OTHER: &str = "tiles-00000000.json";

fn layers(graph: &mut Graph) -> (Vec<Var>, [TensorType; 2]) {
    let types = [TensorType::f32(&[3, 40, 64]), TensorType::f32(&[96, 64])];
    let x = graph.external("x", types[0].clone());
    let w = graph.external("w", types[1].clone());
    let y = matmul(graph, Form::NT, x, w).expect("a product");
    let grads = ops::gradients(graph, y, &[x, w]).expect("gradients");
    let mut roots = vec![y];
    roots.extend(grads.into_iter().flatten());
    (roots, types)
}

/// Where nobody knows how many registers there are, attention has two choices, which its gradient heeds too.
#[test]
fn attention_has_a_choice_where_registers_may_be_few() {
    pollster::block_on(async {
        let options = GpuOptions { processor: Some(false), few_registers: Some(true), ..GpuOptions::default() };
        let gpu = Gpu::open(&options).await.expect("an adapter");
        let ty = TensorType::f32(&[2, 50, 3 * 128]);
        let mut graph = Graph::new();
        let qkv = graph.external("qkv", ty.clone());
        let o = ops::attention(&mut graph, qkv, 2).expect("attention");
        let grad = ops::gradients(&mut graph, o, &[qkv]).expect("a gradient")[0].expect("one for qkv");
        let roots = [o, grad];
        let class = "attention 4 of 50x64".to_owned();
        let times = time_tiles(&gpu, &graph, &roots).await.expect("timed");
        let names: BTreeSet<&str> = times.iter().map(|time| time.tile.as_str()).collect();
        assert!(times.iter().all(|time| time.class == class && time.milliseconds > 0.0), "{times:?}");
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["large tiles", "small tiles"]);

        let kernels = |graph: &Graph| {
            let layout = Layout::of(graph, &roots, Caps::of(&gpu)).expect("a layout");
            let names = layout.kernels().into_iter().map(|key| key.to_string());
            names.filter(|name| name.starts_with("attention")).collect::<Vec<String>>()
        };
        let small = kernels(&graph);
        let input = random_input(&mut Random(7), &ty.shape).1;
        let given = [("qkv", input)];
        let plain = common::run_on(&gpu, &graph, &given, &roots);
        let pinned = Choices::from([(class, "large tiles".to_owned())]);
        let kept = tune(&gpu, &mut graph, &roots, Some(pinned.clone())).await.expect("pinned");
        assert_eq!(kept, pinned, "for a run that goes on");
        let large = kernels(&graph);
        assert_eq!((small.len(), large.len()), (3, 3));
        assert!(small.iter().zip(&large).all(|(small, large)| small != large), "{small:?} {large:?}");
        let other = common::run_on(&gpu, &graph, &given, &roots);
        for (x, y) in plain.iter().flatten().zip(other.iter().flatten()) {
            assert!((x - y).abs() <= 1e-5 * x.abs().max(1.0), "{x} {y}");
        }
    });
}

/// Runs the test of this name in a process with a cache folder of its own, and returns what it remembered; none in that
/// process.
fn in_a_folder_of_its_own(test: &str) -> Option<String> {
    if std::env::var_os(AGAIN).is_some() {
        return None;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let program = std::env::current_exe().expect("this test");
    let mut command = Command::new(program);
    command.args(["--exact", test, "--nocapture"]).env("UNMASK_CACHE", folder.path()).env(AGAIN, "1");
    let output = command.output().expect("this test, again");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    Some(std::fs::read_to_string(remembered_in(folder.path())).expect("what was measured"))
}

/// The file in `folder` that the one adapter of a test has there.
fn remembered_in(folder: &Path) -> PathBuf {
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path());
    let mut tiles = files.filter(|file| !file.ends_with(OTHER));
    let file = tiles.next().expect("what was measured");
    assert!(tiles.next().is_none(), "one file an adapter");
    file
}

/// Its choice alters bits, so a second run, which would find the rest of the time for it, must not be the one to make it.
#[test]
fn attention_is_chosen_whatever_time_is_left() {
    if in_a_folder_of_its_own("attention_is_chosen_whatever_time_is_left").is_some() {
        return;
    }
    pollster::block_on(async {
        let options = GpuOptions { processor: Some(false), few_registers: Some(true), ..GpuOptions::default() };
        let gpu = Gpu::open(&options).await.expect("an adapter");
        let build = || {
            let mut graph = Graph::new();
            let x = graph.external("x", TensorType::f32(&[2, 50, 512]));
            let w = graph.external("w", TensorType::f32(&[3 * 128, 512]));
            let qkv = matmul(&mut graph, Form::NT, x, w).expect("a product");
            let o = ops::attention(&mut graph, qkv, 2).expect("attention");
            (graph, o)
        };
        let (mut graph, o) = build();
        let settled = tune_within(&gpu, &mut graph, &[o], None, 0.0).await.expect("measured");
        let class = "attention 4 of 50x64";
        assert_eq!(settled.keys().collect::<Vec<_>>(), [class], "the product is free to be measured later");
        assert_eq!(*graph.choices(), settled);
        let cache = std::env::var("UNMASK_CACHE").expect("a folder");
        let remembered = std::fs::read_to_string(remembered_in(Path::new(&cache))).expect("what was measured");
        assert!(remembered.contains(class) && !remembered.contains("NT "), "{remembered}");
        let (mut graph, o) = build();
        let again = tune_within(&gpu, &mut graph, &[o], None, 600.0).await.expect("measured");
        assert_eq!((again, graph.choices().len()), (settled, 2), "what a second run takes");
    });
}

/// In a folder of its own: choices are found, remembered, kept to and change no bit.
#[test]
fn tiles_are_measured_once_and_change_no_bit() {
    if let Some(written) = in_a_folder_of_its_own("tiles_are_measured_once_and_change_no_bit") {
        assert!(written.contains("NT 256x96x64") && written.contains("TN 96x64x256"), "{written}");
        return;
    }
    pollster::block_on(async {
        let gpu = common::gpu_as(false);
        let mut graph = Graph::new();
        let (roots, types) = layers(&mut graph);
        let mut random = Random(5);
        let inputs = types.map(|ty| random_input(&mut random, &ty.shape).1);
        let [x, w] = inputs;
        let given = [("x", x), ("w", w)];
        let plain = run_bits_on(&gpu, &graph, &given, &roots);

        tune_within(&gpu, &mut graph, &roots, None, 600.0).await.expect("measured");
        let found = graph.choices().clone();
        assert_eq!(found.len(), 3, "one for each product: {found:?}");
        let names: Vec<String> = TILES.iter().map(ToString::to_string).collect();
        assert!(found.values().all(|tile| names.contains(tile)), "{found:?}");
        assert!(run_bits_on(&gpu, &graph, &given, &roots) == plain, "{found:?} changes bits");

        // Remembered: nothing is measured, so the same comes out; what a checkpoint of before pins without need is passed
        // over.
        let mut again = Graph::new();
        layers(&mut again);
        let kept = tune(&gpu, &mut again, &roots, None).await.expect("remembered");
        assert!(*again.choices() == found && kept.is_empty(), "{:?}, {kept:?}", again.choices());
        let pinned: Choices = found.keys().map(|class| (class.clone(), names[6].clone())).collect();
        let kept = tune(&gpu, &mut again, &roots, Some(pinned)).await.expect("remembered");
        assert!(*again.choices() == found && kept.is_empty(), "{:?}, {kept:?}", again.choices());
        // What is no tile for such a product, or for this adapter, is found anew.
        let cache = std::env::var("UNMASK_CACHE").expect("a folder");
        let (own, other) = (remembered_in(Path::new(&cache)), Path::new(&cache).join(OTHER));
        let written = std::fs::read_to_string(&own).expect("what was measured");
        let odd = found.values().fold(written, |text, tile| text.replace(&format!("\"{tile}\""), "\"no tile\""));
        std::fs::write(&own, odd).expect("written");
        tune_within(&gpu, &mut again, &roots, None, 600.0).await.expect("measured");
        assert_eq!(again.choices().keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
        assert!(again.choices().values().all(|tile| names.contains(tile)), "{:?}", again.choices());
        // What cannot be read is measured anew, and other adapters keep what was measured on them.
        for file in [&own, &other] {
            std::fs::write(file, "{").expect("written");
        }
        tune_within(&gpu, &mut again, &roots, None, 600.0).await.expect("measured");
        let written = std::fs::read_to_string(&own).expect("written anew");
        assert!(found.keys().all(|class| written.contains(class)) && written.contains("shaders "), "{written}");
        assert_eq!(std::fs::read_to_string(&other).expect("as it was"), "{");
        let times = time_tiles(&gpu, &graph, &roots).await.expect("timed");
        let classes: BTreeSet<&str> = times.iter().map(|time| time.class.as_str()).collect();
        assert_eq!(classes, found.keys().map(String::as_str).collect(), "every product");
        assert!(times.len() >= 3 * 8 && times.iter().all(|time| time.milliseconds > 0.0), "{times:?}");
        let ordered =
            |pair: &[TileTime]| pair[0].class != pair[1].class || pair[0].milliseconds <= pair[1].milliseconds;
        assert!(times.windows(2).all(ordered), "the fastest first: {times:?}");

        let processor = common::gpu_as(true);
        let mut untouched = Graph::new();
        layers(&mut untouched);
        tune(&processor, &mut untouched, &roots, None).await.expect("nothing to do");
        assert!(untouched.choices().is_empty(), "processors have no choice");
    });
}
