//! Weights as other programs write them: read, rebuilt with, and written back.
//!
//! `weights/make.py` made the files; `UNMASK_WEIGHTS` names a folder of others that it made.

mod common;

use std::path::{Path, PathBuf};

use unmask::gpu::Uploads as _;
use unmask::graph::{Plan, TensorType};
use unmask::mae::{self, MaeConfig};
use unmask::nn::{Builder, ParamStore, State};
use unmask::train::{Hints, HubConfig, Opened, config_metadata, timm_metadata};
use unmask::weights::{
    Layout, Storage, TensorSource, Tensors, outputs, shipped, write_safetensors, write_tensors, write_torch,
};

fn file(name: &str) -> PathBuf {
    let made = std::env::var_os("UNMASK_WEIGHTS").map(PathBuf::from);
    made.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/weights")).join(name)
}

/// What the shapes of so small a model do not tell.
fn hints() -> Hints {
    Hints { heads: Some(2), decoder_heads: Some(3), norm_pix_loss: Some(true), ..Hints::default() }
}

fn open(name: &str, hints: &Hints) -> Opened {
    Opened::open(&file(name), hints).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Predictions, where there is a decoder, and latents of the expected file's pictures.
fn run(model: &Opened, expected: &Tensors) -> Vec<Vec<f32>> {
    let gpu = common::gpu();
    let config = &model.config;
    let (side, patches) = (config.image_size, config.patches());
    let mut b = Builder::new();
    let image = b.graph.external("image", TensorType::f32(&[2, 3, side, side]));
    let noise = b.graph.external("noise", TensorType::f32(&[2, patches]));
    let masks = mae::given_masks(&mut b.graph, config, noise).expect("masks");
    let roots = match model.weights.has_decoder() {
        true => {
            let vars = mae::autoencoder(&mut b, config, image, masks).expect("a model");
            vec![vars.latent, vars.pred]
        }
        false => vec![mae::encoder(&mut b, config, image, masks).expect("an encoder").latent],
    };
    pollster::block_on(async {
        let store = ParamStore::new(&gpu, b.params(), false).await.expect("memory");
        store.load(&gpu, State::Weights, &model.weights).expect("weights");
        let mut inputs = store.externals();
        let plan = Plan::build(&gpu, &b.graph, &roots, &mut inputs).await.expect("a plan");
        for (name, tensor) in [("image", "pixel_values"), ("noise", "noise")] {
            gpu.upload(inputs.get(name).expect("an input"), &expected.tensors[tensor].data);
        }
        plan.run(&gpu);
        let slices: Vec<_> = roots.iter().map(|root| plan.slice(*root).expect("a root").clone()).collect();
        let read = gpu.read("results", &slices).await.expect("a readback");
        read.iter().map(|bytes| bytemuck::pod_collect_to_vec(bytes)).collect()
    })
}

#[track_caller]
fn assert_near(what: &str, got: &[f32], want: &[f32], tolerance: f32) {
    assert_eq!(got.len(), want.len(), "{what}");
    let off = |(a, b): (&f32, &f32)| if a.is_nan() { f32::INFINITY } else { (a - b).abs() };
    let worst = got.iter().zip(want).map(off).fold(0.0, f32::max);
    println!("{what}: off by {worst:.2e} at most");
    assert!(worst <= tolerance, "{what}: off by {worst}");
}

/// The shape that all files have.
fn config() -> MaeConfig {
    MaeConfig {
        image_size: 32,
        patch_size: 8,
        width: 16,
        depth: 2,
        heads: 2,
        mlp: 0,
        decoder_width: 24,
        decoder_depth: 1,
        decoder_heads: 3,
        decoder_mlp: 0,
        norm_pix_loss: true,
        ..mae::preset("base").expect("a preset")
    }
}

#[test]
fn files_of_other_programs_rebuild_the_same_pictures() {
    let expected = Tensors::open(&file("expected.safetensors")).expect("what is expected");
    for (name, tolerance) in [
        ("original_full.pth", 1e-4),
        // Weights of eight bits.
        ("original_full_bf16_legacy.pth", 0.15),
        ("transformers5", 1e-4),
        ("transformers5/model.safetensors", 1e-4),
        ("transformers5_sharded", 1e-4),
        ("transformers4", 1e-4),
        ("transformers4_bin", 1e-4),
    ] {
        // Where a config.json lies beside them nothing has to be told.
        let told = if name.starts_with("transformers") { Hints::default() } else { hints() };
        let model = open(name, &told);
        assert_eq!(model.config, config(), "{name}");
        assert!(model.weights.leftover.is_empty(), "{name}: {:?}", model.weights.leftover);
        model.need_decoder().expect("a decoder");
        let got = run(&model, &expected);
        assert_near(&format!("{name}, latent"), &got[0], &expected.tensors["latent"].data, tolerance);
        assert_near(&format!("{name}, pred"), &got[1], &expected.tensors["pred"].data, tolerance);
    }
}

#[test]
fn encoders_give_features_and_say_that_they_have_no_decoder() {
    let expected = Tensors::open(&file("expected.safetensors")).expect("what is expected");
    for (name, tolerance) in [
        ("original_encoder_f16.pth", 0.02),
        ("original_encoder_views.pth", 1e-4),
        ("timm.safetensors", 1e-4),
        ("transformers5_encoder", 1e-4),
    ] {
        let told = if name.starts_with("transformers") { Hints::default() } else { hints() };
        let model = open(name, &told);
        let error = model.need_decoder().expect_err("no decoder").to_string();
        assert!(error.contains("encoder alone") && error.contains(name), "{error}");
        let got = run(&model, &expected);
        assert_near(&format!("{name}, latent"), &got[0], &expected.tensors["latent"].data, tolerance);
    }
}

#[test]
fn every_layout_comes_back_to_the_bit() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = open("original_full.pth", &hints());
    let whole = model.weights.read_all().expect("tensors");
    for (layout, storage, name) in [
        (Layout::Native, Storage::F32, "native.safetensors"),
        (Layout::HuggingFace, Storage::F32, "model.safetensors"),
        (Layout::Original, Storage::F32, "original.pth"),
        (Layout::Timm, Storage::F32, "timm.safetensors"),
        (Layout::Original, Storage::F16, "half.pth"),
    ] {
        let path = folder.path().join(name);
        let (outputs, left) = outputs(layout, &model.weights);
        assert_eq!(left.is_empty(), layout != Layout::Timm);
        assert!(left.iter().all(|name| name.starts_with("decoder.")), "{left:?}");
        if layout == Layout::Original {
            write_torch(&path, &model.weights, &outputs, storage).expect("written");
        } else {
            let metadata = match layout {
                Layout::Native => config_metadata(&model.config).expect("metadata").into(),
                _ => Default::default(),
            };
            write_safetensors(&path, &model.weights, &outputs, metadata, storage).expect("written");
        }
        let told = if layout == Layout::Native { Hints::default() } else { hints() };
        let back = Opened::open(&path, &told).unwrap_or_else(|error| panic!("{name}: {error}"));
        let tensors = back.weights.read_all().expect("tensors");
        for (name, tensor) in &whole.tensors {
            match tensors.tensors.get(name) {
                Some(other) if storage == Storage::F32 => assert_eq!(tensor, other, "{name}"),
                Some(other) => assert_near(name, &other.data, &tensor.data, 2e-3),
                None => assert!(layout == Layout::Timm && name.starts_with("decoder."), "{name} is missing"),
            }
        }
        if layout != Layout::Timm {
            assert_eq!(back.config, model.config);
        }
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 5, "nothing is left beside the files");
}

#[test]
fn what_is_wrong_is_told_by_name() {
    let heads = Opened::open(&file("original_full.pth"), &Hints::default()).err().expect("no heads").to_string();
    assert!(heads.contains("--heads") && heads.contains("original_full.pth"), "{heads}");
    let folder = tempfile::tempdir().expect("a folder");
    let empty = Opened::open(folder.path(), &hints()).err().expect("nothing there").to_string();
    assert!(empty.contains("model.safetensors") && empty.contains("pytorch_model.bin"), "{empty}");

    let whole = std::fs::read(file("original_full.pth")).expect("a file");
    for length in [10, 500, whole.len() / 2, whole.len() - 1] {
        let error = Opened::from_bytes("torn.pth", whole[..length].to_vec()).err().expect("torn").to_string();
        assert!(error.starts_with("torn.pth: "), "{error}");
    }
    let mut tensors = Tensors { path: "two".to_owned(), ..Tensors::default() };
    tensors.insert("cls_token", &[1, 1, 4], vec![0.0; 4]);
    tensors.insert("vit.embeddings.cls_token", &[1, 1, 4], vec![0.0; 4]);
    let twice = Opened::new(Box::new(tensors), None, &hints()).err().expect("twice").to_string();
    assert!(twice.contains("\"cls_token\"") && twice.contains("both stand for"), "{twice}");
    let mut tensors = Tensors { path: "other".to_owned(), ..Tensors::default() };
    tensors.insert("conv1.weight", &[1], vec![0.0]);
    let other = Opened::new(Box::new(tensors), None, &hints()).err().expect("another model").to_string();
    assert!(other.contains("no weights of a masked autoencoder"), "{other}");
}

/// timm's encoder, with its tensors under the names that `renamed` makes of theirs.
fn encoder(renamed: impl Fn(&str) -> String) -> Tensors {
    let mut tensors = Tensors::open(&file("timm.safetensors")).expect("tensors");
    tensors.tensors = tensors.tensors.into_iter().map(|(name, tensor)| (renamed(&name), tensor)).collect();
    tensors
}

/// What is wrong with `tensors`.
#[track_caller]
fn refusal(tensors: Tensors, hints: &Hints) -> String {
    Opened::new(Box::new(tensors), None, hints).err().expect("refused").to_string()
}

#[test]
fn encoders_that_compute_something_else_are_refused_by_name() {
    for name in ["blocks.0.ls1.gamma", "blocks.1.attn.q_norm.weight", "norm_pre.weight", "reg_token"] {
        let mut other = encoder(str::to_owned);
        other.insert(name, &[16], vec![1.0; 16]);
        let said = refusal(other, &hints());
        assert!(said.contains(name) && said.contains("timm.safetensors") && said.contains("plain Vision"), "{said}");
    }
    let mut pooled = encoder(str::to_owned);
    pooled.insert("pooler.dense.weight", &[16, 16], vec![0.0; 256]);
    let opened = Opened::new(Box::new(pooled), None, &hints()).expect("an encoder");
    assert_eq!(opened.weights.leftover, ["pooler.dense.weight"]);
    assert!(opened.assumed.iter().any(|text| text.contains("pooler.dense.weight")), "{:?}", opened.assumed);

    let tuned = encoder(|name| if name.starts_with("norm.") { format!("fc_{name}") } else { name.to_owned() });
    let said = refusal(tuned, &hints());
    assert!(said.contains("global pooling") && said.contains("fc_norm"), "{said}");
}

#[test]
fn what_models_were_wrapped_in_is_no_part_of_names() {
    let plain = Opened::new(Box::new(encoder(str::to_owned)), None, &hints()).expect("an encoder");
    let plain = plain.weights.read_all().expect("tensors");
    for wrapper in ["_orig_mod.", "model.", "_orig_mod.module.", "module.encoder.", "student.backbone."] {
        let wrapped = encoder(|name| format!("{wrapper}{name}"));
        let opened =
            Opened::new(Box::new(wrapped), None, &hints()).unwrap_or_else(|error| panic!("{wrapper}: {error}"));
        assert_eq!(opened.weights.read_all().expect("tensors"), plain, "{wrapper}");
    }
    let said = refusal(encoder(|name| format!("other-{name}")), &hints());
    assert!(said.contains("found other-blocks.0.attn.proj.bias"), "{said}");
}

#[test]
fn what_was_guessed_is_told() {
    let mut bare = shipped().expect("weights");
    bare.metadata.clear();
    let assumed = Opened::new(Box::new(bare), None, &Hints::default()).expect("a model").assumed;
    for begin in ["heads = 4 and decoder_heads = 4, as in the usual model", "pixel_mean = [0.485, 0.456, 0.406]"] {
        assert!(assumed.iter().any(|text| text.starts_with(begin)), "{begin}: {assumed:?}");
    }

    let config = r#"{"model_type": "vit", "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}"#;
    let mut config = HubConfig::parse("config.json", config).expect("JSON");
    let preprocessor = r#"{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}"#;
    config.take_preprocessor("preprocessor_config.json", preprocessor).expect("JSON");
    let opened = Opened::new(Box::new(encoder(str::to_owned)), Some(&config), &Hints::default()).expect("an encoder");
    assert_eq!((opened.config.heads, opened.config.layer_norm_eps, opened.assumed.len()), (2, 1e-12, 0));
    assert_eq!((opened.config.pixel_mean, opened.config.pixel_std), ([0.5; 3], [0.25; 3]));

    // As `convert --to timm` writes it.
    let mut written = encoder(str::to_owned);
    written.metadata = timm_metadata(&opened.config);
    let back = Opened::new(Box::new(written), None, &hints()).expect("an encoder");
    assert_eq!((back.config.pixel_mean, back.config.pixel_std), ([0.5; 3], [0.25; 3]));
    assert!(back.assumed.is_empty(), "{:?}", back.assumed);
}

#[test]
fn files_of_this_program_are_known_and_believed_if_they_are_whole() {
    let mut foreign = encoder(str::to_owned);
    foreign.metadata = [("format".to_owned(), "pt".to_owned()), ("model".to_owned(), "vit".to_owned())].into();
    Opened::new(Box::new(foreign), None, &hints()).expect("an encoder");
    let said = refusal(shipped().expect("weights"), &Hints { heads: Some(2), ..Hints::default() });
    assert!(said.contains("says itself what model it is for") && said.contains("heads"), "{said}");

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/checkpoint.safetensors");
    let mut bytes = std::fs::read(path).expect("a checkpoint");
    Opened::from_bytes("whole", bytes.clone()).expect("whole");
    *bytes.last_mut().expect("bytes") ^= 1;
    let said = Opened::from_bytes("altered", bytes).err().expect("altered").to_string();
    assert!(said.starts_with("altered: ") && said.contains("the file was altered"), "{said}");
}

#[test]
fn numbers_that_are_none_are_refused_by_tensor() {
    for value in [f32::NAN, f32::NEG_INFINITY] {
        let mut spoilt = encoder(str::to_owned);
        spoilt.tensors.get_mut("blocks.0.attn.qkv.weight").expect("a tensor").data[300] = value;
        let opened = Opened::new(Box::new(spoilt), None, &hints()).expect("an encoder");
        opened.weights.read("vit.layers.0.attention.q_proj.weight").expect("finite");
        let said = opened.weights.read("vit.layers.0.attention.k_proj.weight").expect_err("not finite").to_string();
        assert!(said.contains("\"blocks.0.attn.qkv.weight\"") && said.contains(&value.to_string()), "{said}");
    }
}

#[test]
fn a_folder_of_runs_names_one_of_them() {
    let folder = tempfile::tempdir().expect("a folder");
    for run in ["b", "a"] {
        std::fs::create_dir(folder.path().join(run)).expect("a folder");
        std::fs::write(folder.path().join(run).join("recipe.toml"), "").expect("written");
    }
    let text = Opened::open(folder.path(), &Hints::default()).err().expect("no weights").to_string();
    let run = folder.path().join("a").display().to_string();
    assert!(text.ends_with(&format!("holds no weights itself; expected one of its runs, such as {run}")), "{text}");
}

#[test]
fn numbers_beyond_16_bits_are_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("w.safetensors");
    let mut tensors = Tensors { path: "source".to_owned(), ..Tensors::default() };
    tensors.insert("vit.layernorm.weight", &[2], vec![1.0, -70_000.0]);
    let (outputs, _) = outputs(Layout::Native, &tensors);
    for written in [
        write_tensors(&path, &tensors, Storage::F16),
        write_safetensors(&path, &tensors, &outputs, Default::default(), Storage::F16),
        write_torch(&path, &tensors, &outputs, Storage::F16),
    ] {
        let said = written.expect_err("too large").to_string();
        assert!(said.contains("vit.layernorm.weight") && said.contains("-70000"), "{said}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
    write_tensors(&path, &tensors, Storage::F32).expect("written");
    // Rounded to the largest one; and what is infinite already says nothing new.
    tensors.insert("vit.layernorm.weight", &[2], vec![65_519.0, f32::INFINITY]);
    write_tensors(&path, &tensors, Storage::F16).expect("written");
}
