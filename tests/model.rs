//! What models are made of: parameters and their initial values, and the encoder that sees masks.

mod common;

use std::collections::BTreeMap;

use common::{Data, Random, assert_close, run};
use unmask::eval::kernels::twins;
use unmask::graph::TensorType;
use unmask::mae::{self, MaeConfig, MaeVars};
use unmask::nn::{Builder, Init, sincos_positions};

/// A builder with the autoencoder of `config` for one picture.
fn autoencoder(config: &MaeConfig) -> (Builder, MaeVars) {
    let mut b = Builder::new();
    let side = config.image_size;
    let image = b.graph.external("image", TensorType::f32(&[1, 3, side, side]));
    let noise = b.graph.external("noise", TensorType::f32(&[1, config.patches()]));
    let masks = mae::given_masks(&mut b.graph, config, noise).expect("masks");
    let vars = mae::autoencoder(&mut b, config, image, masks).expect("a model");
    (b, vars)
}

/// Expected parameters: initial values, and whether they decay.
#[derive(Default)]
struct Table(BTreeMap<String, (Init, bool)>);

impl Table {
    fn add(&mut self, name: &str, init: Init, decays: bool) {
        assert!(self.0.insert(name.to_owned(), (init, decays)).is_none(), "{name} twice");
    }

    fn linear(&mut self, name: &str, fan_in: usize, fan_out: usize) {
        self.add(&format!("{name}.weight"), Init::XavierUniform { fan_in, fan_out }, true);
        self.add(&format!("{name}.bias"), Init::Zeros, false);
    }

    fn norm(&mut self, name: &str) {
        self.add(&format!("{name}.weight"), Init::Ones, false);
        self.add(&format!("{name}.bias"), Init::Zeros, false);
    }

    fn block(&mut self, name: &str, width: usize) {
        self.norm(&format!("{name}.layernorm_before"));
        // One matrix of three times as many rows, as the reference initialises it.
        self.linear(&format!("{name}.attention.qkv"), width, 3 * width);
        self.linear(&format!("{name}.attention.o_proj"), width, width);
        self.norm(&format!("{name}.layernorm_after"));
        self.linear(&format!("{name}.mlp.fc1"), width, 4 * width);
        self.linear(&format!("{name}.mlp.fc2"), 4 * width, width);
    }
}

#[test]
fn parameters_start_and_decay_as_in_the_reference() {
    let mut want = Table::default();
    let embedding = "vit.embeddings.patch_embeddings.projection";
    want.linear(embedding, 192, 128);
    want.add("vit.embeddings.cls_token", Init::Normal { std: 0.02 }, true);
    (0..4).for_each(|index| want.block(&format!("vit.layers.{index}"), 128));
    want.norm("vit.layernorm");
    want.linear("decoder.decoder_embed", 128, 64);
    want.add("decoder.mask_token", Init::Normal { std: 0.02 }, true);
    (0..2).for_each(|index| want.block(&format!("decoder.decoder_layers.{index}"), 64));
    want.norm("decoder.decoder_norm");
    want.linear("decoder.decoder_pred", 64, 192);
    // A convolution's, as its framework leaves it.
    want.0.insert(format!("{embedding}.bias"), (Init::Uniform { bound: 1.0 / 192f64.sqrt() }, false));

    let (b, _) = autoencoder(&mae::preset("micro").expect("a preset"));
    let (trained, fixed): (Vec<_>, Vec<_>) = b.params().iter().cloned().partition(|spec| spec.trained);
    let got: BTreeMap<_, _> = trained.into_iter().map(|spec| (spec.name, (spec.init, spec.decays))).collect();
    assert!(got.keys().eq(want.0.keys()), "{:?}, not {:?}", got.keys(), want.0.keys());
    for (name, want) in want.0 {
        assert_eq!(got[&name], want, "{name}");
    }
    let tables = [("vit.embeddings.position_embeddings", 128), ("decoder.decoder_pos_embed", 64)];
    assert_eq!(fixed.len(), tables.len());
    for (spec, (name, width)) in fixed.iter().zip(tables) {
        assert_eq!((spec.name.as_str(), &spec.init), (name, &Init::Table(sincos_positions(width, 8, 8))));
    }
}

#[test]
fn an_encoder_that_sees_masks_has_every_patch_at_its_position() {
    let (side, width, patches, visible) = (16, 16, 16, 4);
    let visible_only = MaeConfig {
        image_size: side,
        patch_size: 4,
        width,
        // What goes into the blocks is asked for.
        depth: 0,
        heads: 2,
        ..mae::preset("micro").expect("a preset")
    };
    let all = MaeConfig { encoder_sees_masks: true, ..visible_only.clone() };
    let mut b = Builder::new();
    let image = b.graph.external("image", TensorType::f32(&[1, 3, side, side]));
    let noise = b.graph.external("noise", TensorType::f32(&[1, patches]));
    let masks = mae::given_masks(&mut b.graph, &all, noise).expect("masks");
    let roots = [&visible_only, &all].map(|config| mae::encoder(&mut b, config, image, masks).expect("one").latent);

    let mut random = Random(2);
    let order = random.permutation(patches);
    let mut noise = vec![0.0; patches];
    order.iter().enumerate().for_each(|(rank, patch)| noise[*patch as usize] = rank as f32);
    let mut numbers: BTreeMap<&str, Vec<f32>> = BTreeMap::new();
    for spec in b.params() {
        numbers.insert(&spec.name, random.vec(spec.len()));
    }
    numbers.insert("image", random.vec(3 * side * side));
    numbers.insert("noise", noise);
    let inputs: Vec<(&str, Data)> = numbers.iter().map(|(name, values)| (*name, Data::F32(values.clone()))).collect();
    let results = run(&b.graph, &inputs, &roots);

    let exact = |name: &str| twins::exact(&numbers[name]);
    let (token, positions) = (exact("vit.embeddings.mask_token"), exact("vit.embeddings.position_embeddings"));
    let (gamma, beta) = (exact("vit.layernorm.weight"), exact("vit.layernorm.bias"));
    let row = |of: &[f32], at: usize| twins::exact(&of[at * width..][..width]);
    assert_eq!(results.iter().map(Vec::len).collect::<Vec<_>>(), [(1 + visible) * width, (1 + patches) * width]);
    assert_close("class token", &results[1][..width], &row(&results[0], 0), 1e-6);
    for (rank, patch) in order.iter().map(|patch| *patch as usize).enumerate() {
        let want = match rank < visible {
            true => row(&results[0], 1 + rank),
            false => {
                let position = &positions[(1 + patch) * width..][..width];
                let sum: Vec<f64> = token.iter().zip(position).map(|(token, position)| token + position).collect();
                twins::layer_norm(&sum, &gamma, &beta, 1e-6).y
            }
        };
        assert_close(&format!("patch {patch}"), &results[1][(1 + patch) * width..][..width], &want, 1e-5);
    }
}
