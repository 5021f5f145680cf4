//! Models as ONNX files: every value is made before it is used, and the weights are all there. What they compute is
//! compared by `./dev parity`, with ONNX Runtime.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

use prost::Message as _;
use unmask::train::{Hints, OnnxPart, Opened, export_onnx};
use unmask::weights::onnx::Model;
use unmask::weights::{Element, TensorSource as _};

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/weights").join(name)
}

fn opened(name: &str) -> Opened {
    let hints = Hints { heads: Some(2), decoder_heads: Some(3), norm_pix_loss: Some(true), ..Hints::default() };
    Opened::open(&fixture(name), &hints).expect("weights")
}

/// Fails unless `model` hangs together; its inputs and outputs.
fn check(model: &Model) -> (Vec<String>, Vec<String>) {
    let graph = model.graph.as_ref().expect("a graph");
    let inputs: Vec<String> = graph.input.iter().map(|port| port.name.clone()).collect();
    let mut made: HashSet<String> = inputs.iter().cloned().collect();
    for tensor in &graph.initializer {
        assert!(made.insert(tensor.name.clone()), "{} is there twice", tensor.name);
        let size = if tensor.data_type == 7 { 8 } else { 4 };
        let bytes = tensor.dims.iter().product::<i64>() as usize * size;
        assert_eq!(tensor.raw_data.as_ref().map(Vec::len), Some(bytes), "{}", tensor.name);
    }
    let mut names = HashSet::new();
    for node in &graph.node {
        assert!(names.insert(node.name.clone()), "{} is there twice", node.name);
        let missing = node.input.iter().find(|input| !made.contains(*input));
        assert_eq!(missing, None, "{} needs what is not made yet", node.name);
        node.output.iter().for_each(|output| assert!(made.insert(output.clone()), "{output} is made twice"));
    }
    let outputs: Vec<String> = graph.output.iter().map(|port| port.name.clone()).collect();
    assert!(outputs.iter().all(|output| made.contains(output)));
    (inputs, outputs)
}

#[test]
fn the_whole_model_and_the_encoder_hang_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("m.onnx");
    let model = opened("transformers5");
    for (part, inputs, outputs) in [
        (OnnxPart::Encoder, &["pixel_values"][..], &["last_hidden_state"][..]),
        (OnnxPart::Whole, &["pixel_values", "noise"], &["logits", "mask", "ids_restore"]),
    ] {
        export_onnx(&model, part, &path).expect("written");
        let onnx = Model::decode(std::fs::read(&path).expect("read").as_slice()).expect("a model");
        assert_eq!(
            check(&onnx),
            (inputs.iter().map(|x| (*x).into()).collect(), outputs.iter().map(|x| (*x).into()).collect())
        );
        // Every weight of the part is there, with its numbers.
        let tensors = &onnx.graph.as_ref().expect("a graph").initializer;
        for (name, shape) in model.weights.shapes() {
            let wanted = part == OnnxPart::Whole || name.starts_with("vit.");
            let found = tensors.iter().find(|tensor| tensor.name == name);
            assert_eq!(found.is_some(), wanted, "{name}");
            let Some(found) = found else { continue };
            assert_eq!(found.dims, shape.iter().map(|extent| *extent as i64).collect::<Vec<_>>());
            let numbers = Element::F32.numbers(found.raw_data.as_ref().expect("numbers"));
            assert_eq!(numbers, model.weights.read(name).expect("read").data, "{name}");
        }
        let told =
            |key: &str| onnx.metadata_props.iter().find(|entry| entry.key == key).map(|entry| entry.value.clone());
        assert_eq!(told("pixel_mean").as_deref(), Some("0.485,0.456,0.406"));
        assert_eq!(told("norm_pix_loss").as_deref(), Some("true"));
    }
}

#[test]
fn what_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("m.onnx");
    let encoder = opened("original_encoder_views.pth");
    export_onnx(&encoder, OnnxPart::Encoder, &out).expect("an encoder is enough for features");
    let error = export_onnx(&encoder, OnnxPart::Whole, &out).expect_err("no decoder").to_string();
    assert!(error.contains("holds an encoder alone"), "{error}");
    for (options, want) in
        [(["--to", "onnx", "--f16"], "does not go with"), (["--to", "hf", "--whole"], "--whole goes")]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_unmask"));
        let output = command.arg("convert").arg(fixture("transformers5")).arg(&out).args(options).output();
        let output = output.expect("the program");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(want), "{said}");
    }
}
