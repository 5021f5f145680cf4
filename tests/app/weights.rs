//! Weights from elsewhere, opened where they lie.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use egui_kittest::Harness;
use unmask::app::App;
use unmask::session::{Command, Event, Request, Session, WeightsFrom};
use unmask::weights::{Storage, shipped, tensor_bytes};

use super::{Dropped, PATIENCE, common, drop_file, open, wait};

pub fn drop_path(harness: &mut Harness<'static, App>, path: &Path) {
    harness.input_mut().dropped_files.push(Arc::new(Dropped(path.to_owned(), Vec::new())));
    harness.step();
}

pub fn shows(harness: &mut Harness<'static, App>, path: &Path) {
    let name = path.display().to_string();
    wait(harness, "the model", |app| app.explore().model().is_some_and(|model| model.name == name));
}

#[test]
fn a_config_beside_weights_counts_and_a_folder_of_weights_is_no_data() {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/weights/transformers5");
    let kept = tempfile::tempdir().expect("a folder");
    let folder = kept.path().to_owned();
    for name in ["model.safetensors", "config.json"] {
        std::fs::copy(made.join(name), folder.join(name)).expect("copied");
    }
    // As the hub has it beside them; without it the mean of pixels would be assumed.
    let pixels = r#"{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}"#;
    std::fs::write(folder.join("preprocessor_config.json"), pixels).expect("written");
    let mut harness = open();
    // Shapes alone do not tell how many heads there are.
    for path in [folder.join("model.safetensors"), folder] {
        drop_path(&mut harness, &path);
        shows(&mut harness, &path);
        assert_eq!(harness.state().explore().model().expect("a model").config.heads, 2);
    }
    assert_eq!(harness.state().settings().train.folder, None);
}

#[test]
fn what_was_assumed_of_weights_is_told() {
    let mut weights = shipped().expect("weights");
    weights.metadata.clear();
    let bytes = tensor_bytes(&weights, Storage::F32).expect("bytes");
    let mut harness = open();
    drop_file(&mut harness, "plain.safetensors", &bytes);
    let start = Instant::now();
    while harness.state().unread().is_empty() {
        assert!(start.elapsed() < PATIENCE, "no notice came");
        harness.step();
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let notices = harness.state().unread();
    assert!(notices[0].contains("plain.safetensors") && notices[0].contains("norm_pix_loss = false"), "{notices:?}");
}

#[test]
fn a_refusal_says_of_what_and_a_model_where_it_is_from() {
    let session = Session::open(common::gpu(), Arc::new(|| ())).expect("a thread");
    let missing = WeightsFrom::Path("no-such.safetensors".into());
    session.send(Command::Weights(missing));
    session.send(Command::Profile);
    session.send(Command::Weights(WeightsFrom::Shipped));
    let (mut refused, mut model) = (Vec::new(), None);
    while refused.len() < 2 || model.is_none() {
        match session.wait() {
            Some(Event::Refused { request, .. }) => refused.push(request),
            Some(Event::Model(came)) => model = Some(came.from),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(refused[..], [Request::Weights(WeightsFrom::Path(_)), Request::Costs]), "{refused:?}");
    assert!(matches!(model, Some(WeightsFrom::Shipped)), "{model:?}");
}
