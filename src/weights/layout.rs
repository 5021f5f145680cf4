//! Names of the same tensors in the layouts that masked autoencoders are kept in.
//!
//! This program's names are those of `ViTMAEForPreTraining` in transformers 5. Of the others, each name is translated by
//! itself, so that spellings may mix: the original code's and timm's (`blocks.0.attn.qkv.weight`), transformers 4's and
//! the hub's (`vit.encoder.layer.0.attention.attention.query.weight`), and what transformers 5 writes
//! (`decoder.decoder_encoder.layer.0…`), with and without `vit.` in front.

/// What a foreign name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// This tensor.
    Tensor(String),
    /// Queries, keys and values, one after the other along the first axis.
    Stacked([String; 3]),
    /// A head of a classifier, which has no place in a masked autoencoder.
    Classifier,
    /// What an optimiser keeps of a weight.
    Moment,
    /// The average of a weight over steps, in this program's checkpoints.
    Average,
    /// Nothing known.
    Unknown,
}

/// Layouts that can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// This program's.
    Native,
    /// Hugging Face's on the hub, which every version of transformers reads.
    HuggingFace,
    /// The original code's: encoder and decoder, queries, keys and values as one.
    Original,
    /// timm's: the encoder of the original.
    Timm,
}

/// How names in blocks begin, and how they do here.
const BLOCKS: [(&str, &str); 8] = [
    ("blocks.", "vit.layers."),
    ("decoder_blocks.", "decoder.decoder_layers."),
    ("vit.layers.", "vit.layers."),
    ("layers.", "vit.layers."),
    ("vit.encoder.layer.", "vit.layers."),
    ("encoder.layer.", "vit.layers."),
    ("decoder.decoder_layers.", "decoder.decoder_layers."),
    ("decoder.decoder_encoder.layer.", "decoder.decoder_layers."),
];

/// How names outside of blocks begin that other kinds of encoders have: what they stand for comes before the blocks, or
/// goes into each of them.
const ALTERING: [&str; 12] = [
    "norm_pre.",
    "ln_pre.",
    "pre_layrnorm.",
    "reg_token",
    "register_tokens",
    "storage_tokens",
    "dist_token",
    "distillation_token",
    "patch_embed.",
    "patch_embeddings.",
    "rel_pos",
    "rope",
];

/// `name` without what parallel training wraps models in.
fn unwrapped(name: &str) -> &str {
    name.strip_prefix("module.").unwrap_or(name)
}

/// Whether the tensor `name`, of no known meaning, would change what the model computes: those in blocks do, and some
/// before them.
pub fn alters(name: &str) -> bool {
    let name = unwrapped(name);
    let outside = name.strip_prefix("vit.").unwrap_or(name);
    let outside = outside.strip_prefix("embeddings.").unwrap_or(outside);
    BLOCKS.iter().any(|(prefix, _)| name.starts_with(prefix)) || ALTERING.iter().any(|stem| outside.starts_with(stem))
}

/// What `name` stands for.
pub fn meaning(name: &str) -> Meaning {
    let name = unwrapped(name);
    if ["head.", "fc_norm.", "classifier."].iter().any(|prefix| name.starts_with(prefix)) {
        return Meaning::Classifier;
    }
    if name.starts_with("adamw.") {
        return Meaning::Moment;
    }
    if name.starts_with("average.") {
        return Meaning::Average;
    }
    if let Some(native) = single(name) {
        return Meaning::Tensor(native);
    }
    for (prefix, native) in BLOCKS {
        let Some((index, rest)) = name.strip_prefix(prefix).and_then(|rest| rest.split_once('.')) else { continue };
        // No leading zeros or signs: every block has one name.
        if index.parse::<u32>().is_ok_and(|number| number.to_string() == index) {
            return in_block(&format!("{native}{index}"), rest);
        }
    }
    Meaning::Unknown
}

/// Tensors outside of blocks.
fn single(name: &str) -> Option<String> {
    let (stem, kind) = match name.rsplit_once('.') {
        Some((stem, kind @ ("weight" | "bias"))) => (stem, Some(kind)),
        _ => (name, None),
    };
    let native = match (stem.strip_prefix("vit.").unwrap_or(stem), kind) {
        ("cls_token" | "embeddings.cls_token", None) => "vit.embeddings.cls_token",
        ("pos_embed" | "embeddings.position_embeddings", None) => "vit.embeddings.position_embeddings",
        ("embeddings.mask_token", None) => "vit.embeddings.mask_token",
        ("patch_embed.proj" | "embeddings.patch_embeddings.projection", Some(_)) => {
            "vit.embeddings.patch_embeddings.projection"
        }
        ("norm" | "layernorm", Some(_)) => "vit.layernorm",
        ("mask_token" | "decoder.mask_token", None) => "decoder.mask_token",
        ("decoder_pos_embed" | "decoder.decoder_pos_embed", None) => "decoder.decoder_pos_embed",
        ("decoder_embed" | "decoder.decoder_embed", Some(_)) => "decoder.decoder_embed",
        ("decoder_norm" | "decoder.decoder_norm", Some(_)) => "decoder.decoder_norm",
        ("decoder_pred" | "decoder.decoder_pred", Some(_)) => "decoder.decoder_pred",
        _ => return None,
    };
    Some(kind.map_or(native.to_owned(), |kind| format!("{native}.{kind}")))
}

/// `rest` of a name in the block that is called `block` here.
fn in_block(block: &str, rest: &str) -> Meaning {
    let Some((stem, kind @ ("weight" | "bias"))) = rest.rsplit_once('.') else { return Meaning::Unknown };
    let native = match stem {
        "attn.qkv" => {
            return Meaning::Stacked(["q", "k", "v"].map(|part| format!("{block}.attention.{part}_proj.{kind}")));
        }
        "norm1" | "layernorm_before" => "layernorm_before",
        "norm2" | "layernorm_after" => "layernorm_after",
        "attention.attention.query" | "attention.q_proj" => "attention.q_proj",
        "attention.attention.key" | "attention.k_proj" => "attention.k_proj",
        "attention.attention.value" | "attention.v_proj" => "attention.v_proj",
        "attn.proj" | "attention.output.dense" | "attention.o_proj" => "attention.o_proj",
        "mlp.fc1" | "intermediate.dense" => "mlp.fc1",
        "mlp.fc2" | "output.dense" => "mlp.fc2",
        _ => return Meaning::Unknown,
    };
    Meaning::Tensor(format!("{block}.{native}.{kind}"))
}

/// The name of this program's tensor `native` in `layout`; for queries, keys and values that become one tensor also
/// which third of it; `None` where the layout has no place for it.
pub fn name_in(layout: Layout, native: &str) -> Option<(String, Option<usize>)> {
    match layout {
        Layout::Native => Some((native.to_owned(), None)),
        Layout::HuggingFace => Some((hugging_face(native), None)),
        Layout::Original => original(native),
        // A mask token makes timm take a file for another model's.
        Layout::Timm => {
            original(native).filter(|_| native.starts_with("vit.") && native != "vit.embeddings.mask_token")
        }
    }
}

fn hugging_face(native: &str) -> String {
    let block = match native.strip_prefix("vit.layers.") {
        Some(rest) => Some(("vit.encoder.layer.", rest)),
        None => native.strip_prefix("decoder.decoder_layers.").map(|rest| ("decoder.decoder_layers.", rest)),
    };
    let Some((prefix, rest)) = block else { return native.to_owned() };
    let mut rest = rest.to_owned();
    for (here, there) in [
        (".attention.q_proj.", ".attention.attention.query."),
        (".attention.k_proj.", ".attention.attention.key."),
        (".attention.v_proj.", ".attention.attention.value."),
        (".attention.o_proj.", ".attention.output.dense."),
        (".mlp.fc1.", ".intermediate.dense."),
        (".mlp.fc2.", ".output.dense."),
    ] {
        rest = rest.replace(here, there);
    }
    format!("{prefix}{rest}")
}

fn original(native: &str) -> Option<(String, Option<usize>)> {
    for (here, there) in [("vit.layers.", "blocks."), ("decoder.decoder_layers.", "decoder_blocks.")] {
        let Some(rest) = native.strip_prefix(here) else { continue };
        for (third, part) in ["q", "k", "v"].into_iter().enumerate() {
            let stem = format!(".attention.{part}_proj.");
            if rest.contains(&stem) {
                return Some((format!("{there}{}", rest.replace(&stem, ".attn.qkv.")), Some(third)));
            }
        }
        let mut rest = rest.to_owned();
        for (from, to) in
            [(".attention.o_proj.", ".attn.proj."), (".layernorm_before.", ".norm1."), (".layernorm_after.", ".norm2.")]
        {
            rest = rest.replace(from, to);
        }
        return Some((format!("{there}{rest}"), None));
    }
    let name = match native.strip_prefix("decoder.") {
        Some(name) => name.to_owned(),
        None => native
            .strip_prefix("vit.")?
            .replace("embeddings.cls_token", "cls_token")
            .replace("embeddings.position_embeddings", "pos_embed")
            .replace("embeddings.patch_embeddings.projection", "patch_embed.proj")
            .replace("layernorm.", "norm."),
    };
    Some((name, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 21] = [
        "vit.embeddings.cls_token",
        "vit.embeddings.position_embeddings",
        "vit.embeddings.patch_embeddings.projection.weight",
        "vit.layers.0.layernorm_before.weight",
        "vit.layers.11.attention.q_proj.weight",
        "vit.layers.11.attention.k_proj.bias",
        "vit.layers.11.attention.v_proj.weight",
        "vit.layers.3.attention.o_proj.bias",
        "vit.layers.3.layernorm_after.bias",
        "vit.layers.3.mlp.fc1.weight",
        "vit.layers.3.mlp.fc2.weight",
        "vit.layernorm.weight",
        "decoder.mask_token",
        "decoder.decoder_pos_embed",
        "decoder.decoder_embed.weight",
        "decoder.decoder_layers.7.attention.q_proj.weight",
        "decoder.decoder_layers.7.attention.o_proj.weight",
        "decoder.decoder_layers.7.mlp.fc2.bias",
        "decoder.decoder_layers.7.layernorm_after.weight",
        "decoder.decoder_norm.bias",
        "decoder.decoder_pred.weight",
    ];

    #[test]
    fn every_layout_leads_back() {
        for native in NAMES {
            for layout in [Layout::Native, Layout::HuggingFace, Layout::Original, Layout::Timm] {
                let Some((name, third)) = name_in(layout, native) else {
                    assert!(layout == Layout::Timm && native.starts_with("decoder."), "{native} in {layout:?}");
                    continue;
                };
                for name in [name.clone(), format!("module.{name}")] {
                    match (meaning(&name), third) {
                        (Meaning::Tensor(back), None) => assert_eq!(back, native, "{name}"),
                        (Meaning::Stacked(back), Some(third)) => assert_eq!(back[third], native, "{name}"),
                        other => panic!("{native} as {name}: {other:?}"),
                    }
                }
            }
        }
    }

    #[test]
    fn known_spellings() {
        let tensor = |name: &str| Meaning::Tensor(name.to_owned());
        for (name, want) in [
            ("embeddings.cls_token", tensor("vit.embeddings.cls_token")),
            ("encoder.layer.2.output.dense.weight", tensor("vit.layers.2.mlp.fc2.weight")),
            ("layers.2.mlp.fc2.weight", tensor("vit.layers.2.mlp.fc2.weight")),
            (
                "decoder.decoder_encoder.layer.1.attention.attention.query.bias",
                tensor("decoder.decoder_layers.1.attention.q_proj.bias"),
            ),
            ("norm.bias", tensor("vit.layernorm.bias")),
            ("head.weight", Meaning::Classifier),
            ("fc_norm.weight", Meaning::Classifier),
            ("adamw.first.vit.layernorm.bias", Meaning::Moment),
            ("average.vit.layernorm.bias", Meaning::Average),
            ("blocks.01.norm1.weight", Meaning::Unknown),
            ("blocks.0.norm3.weight", Meaning::Unknown),
            ("blocks.0", Meaning::Unknown),
            ("", Meaning::Unknown),
        ] {
            assert_eq!(meaning(name), want, "{name}");
        }
        for (name, want) in [
            ("blocks.0.ls1.gamma", true),
            ("module.encoder.layer.3.layer_scale1.lambda1", true),
            ("vit.embeddings.register_tokens", true),
            ("norm_pre.weight", true),
            ("patch_embed.norm.weight", true),
            ("pooler.dense.weight", false),
            ("head_dist.weight", false),
        ] {
            assert_eq!((meaning(name), alters(name)), (Meaning::Unknown, want), "{name}");
        }
        assert_eq!(
            name_in(Layout::HuggingFace, "vit.layers.4.attention.o_proj.bias").expect("a name").0,
            "vit.encoder.layer.4.attention.output.dense.bias"
        );
        let fused = name_in(Layout::Original, "decoder.decoder_layers.4.attention.v_proj.bias").expect("a name");
        assert_eq!(fused, ("decoder_blocks.4.attn.qkv.bias".to_owned(), Some(2)));
    }
}
