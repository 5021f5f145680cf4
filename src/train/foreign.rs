//! What model foreign weights are for: told by their shapes, and where these leave something open by what lies beside
//! them or is known of the published models.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoint::{check_content, is_own};
use super::hub::HubConfig;
use super::{RunFolder, TrainError, model_of};
use crate::data::few;
use crate::graph::TensorType;
use crate::mae::{self, MaeConfig, PRESETS};
use crate::nn::Builder;
use crate::weights::{self, Bytes, Renamed, TensorSource, WeightsError, holds_weights, open_bytes, open_weights};

/// Weights of any layout with the model that they are for.
pub struct Opened {
    /// The model.
    pub config: MaeConfig,
    /// Its weights, under this program's names.
    pub weights: Renamed,
    /// What nothing told and was assumed, for people.
    pub assumed: Vec<String>,
}

impl Opened {
    /// Opens the weights at `path`: a file, a folder as Hugging Face's libraries write it, or that of a run, see
    /// [`RunFolder::weights`].
    ///
    /// # Errors
    /// What is wrong with them, or that they are for no masked autoencoder.
    pub fn open(path: &Path, hints: &Hints) -> Result<Opened, TrainError> {
        let path = &if RunFolder::is_run(path) { RunFolder::weights(path)? } else { path.to_owned() };
        if let (true, Some(run)) = (path.is_dir() && !holds_weights(path), run_in(path)) {
            let reason = format!("holds no weights itself; expected one of its runs, such as {}", run.display());
            return Err(WeightsError::Layout { path: path.display().to_string(), reason }.into());
        }
        let weights = open_weights(path)?;
        // What this program writes says itself what it is.
        let hub = if is_own(weights.as_ref()) { None } else { HubConfig::beside(path)? };
        Opened::new(weights, hub.as_ref(), hints)
    }

    /// Weights in the bytes of a file; `name` names them in messages.
    ///
    /// # Errors
    /// As [`Opened::open`].
    pub fn from_bytes(name: &str, bytes: impl Into<Arc<Vec<u8>>>) -> Result<Opened, TrainError> {
        Opened::new(Box::new(open_bytes(name, Bytes::Memory(bytes.into()))?), None, &Hints::default())
    }

    /// Weights from `source`, with what a `config.json` beside them says.
    ///
    /// # Errors
    /// As [`Opened::open`].
    pub fn new(source: Box<dyn TensorSource>, hub: Option<&HubConfig>, hints: &Hints) -> Result<Opened, TrainError> {
        let own = is_own(source.as_ref());
        if own {
            check_content(source.as_ref())?;
        }
        let weights = Renamed::new(source)?;
        let (config, mut assumed) = match own {
            true => (own_config(&weights, hints)?, Vec::new()),
            false => foreign_config(&weights, hub, hints)?,
        };
        if !weights.leftover.is_empty() {
            let names = few(&weights.leftover, weights.leftover.len());
            assumed.push(format!("tensors of unknown names take no part in what the model computes: {names}"));
        }
        let opened = Opened { config, weights, assumed };
        match hints.image_size {
            Some(side) => opened.at_size(side),
            None => Ok(opened),
        }
    }

    /// The model that comes with the program.
    ///
    /// # Errors
    /// As [`crate::weights::shipped`].
    pub fn shipped() -> Result<Opened, TrainError> {
        Opened::new(Box::new(weights::shipped()?), None, &Hints::default())
    }

    /// The same model for pictures of side `image_size`: its position tables are interpolated.
    ///
    /// # Errors
    /// A side that is no multiple of the patch.
    pub fn at_size(mut self, image_size: usize) -> Result<Opened, TrainError> {
        self.config.image_size = image_size;
        self.config.check()?;
        self.weights.resize(self.config.grid());
        Ok(self)
    }

    /// Fails unless there is a decoder.
    ///
    /// # Errors
    /// [`WeightsError::Layout`].
    pub fn need_decoder(&self) -> Result<(), TrainError> {
        match self.weights.has_decoder() {
            true => Ok(()),
            false => Err(bad(
                &self.weights,
                "holds an encoder alone: it gives features, but there is no decoder to rebuild pictures with"
                    .to_owned(),
            )),
        }
    }
}

/// The first run folder in `folder` by name, if there is one.
fn run_in(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    entries.map(|entry| entry.path()).filter(|path| RunFolder::is_run(path)).min()
}

/// What cannot be seen from shapes; `None` leaves it to what is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hints {
    /// Encoder heads.
    pub heads: Option<usize>,
    /// Decoder heads.
    pub decoder_heads: Option<usize>,
    /// Whether targets are patches normalised one by one.
    pub norm_pix_loss: Option<bool>,
    /// Layer-norm epsilon.
    pub layer_norm_eps: Option<f64>,
    /// Side of pictures, where it is to be another: position tables are interpolated.
    pub image_size: Option<usize>,
}

/// Name and shape of every tensor of the model `config`, as weights are kept.
///
/// # Errors
/// Those of building the model.
pub fn model_params(config: &MaeConfig) -> Result<Vec<(String, Vec<usize>)>, TrainError> {
    let mut b = Builder::new();
    let (side, patches) = (config.image_size, config.patches());
    let image = b.graph.external("image", TensorType::f32(&[1, 3, side, side]));
    let noise = b.graph.external("noise", TensorType::f32(&[1, patches]));
    let masks = mae::given_masks(&mut b.graph, config, noise)?;
    mae::autoencoder(&mut b, config, image, masks)?;
    let parts = b.params().iter().flat_map(|spec| &spec.parts);
    Ok(parts.map(|part| (part.name.clone(), part.shape.clone())).collect())
}

/// Heads of a model that is `width` wide and `depth` deep: those of the preset of that width and depth, if there is one.
fn known_heads(width: usize, depth: usize, decoder: bool) -> Option<usize> {
    let presets = PRESETS.iter().filter_map(|preset| mae::preset(preset.name).ok());
    presets
        .map(|config| match decoder {
            false => ((config.width, config.depth), config.heads),
            true => ((config.decoder_width, config.decoder_depth), config.decoder_heads),
        })
        .find(|(sizes, _)| *sizes == (width, depth))
        .map(|(_, heads)| heads)
}

/// The model that this program's own file `source` says it is for.
///
/// # Errors
/// Hints, which it needs none of.
fn own_config(source: &Renamed, hints: &Hints) -> Result<MaeConfig, TrainError> {
    let hinted = [
        ("heads", hints.heads.is_some()),
        ("decoder_heads", hints.decoder_heads.is_some()),
        ("norm_pix_loss", hints.norm_pix_loss.is_some()),
        ("layer_norm_eps", hints.layer_norm_eps.is_some()),
    ];
    let hinted: Vec<&str> = hinted.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
    if !hinted.is_empty() {
        let text =
            format!("says itself what model it is for; expected nothing to be told of its {}", hinted.join(", "));
        return Err(bad(source, text));
    }
    check_kind(source)?;
    model_of(source)
}

/// The model that `source`, of another program, is for, and what had to be assumed.
///
/// # Errors
/// What is missing or does not go together, by name; heads that nothing tells.
fn foreign_config(
    source: &Renamed,
    hub: Option<&HubConfig>,
    hints: &Hints,
) -> Result<(MaeConfig, Vec<String>), TrainError> {
    let [width, patch_size, grid] = embedding(source)?;
    check_kind(source)?;
    let depth = blocks(source, "vit.layers");
    let passed_over = hub.and_then(|hub| hub.mismatch(width, depth));
    let hub = hub.filter(|_| passed_over.is_none());
    let why = |why| format!("config.json is of another model and says nothing here: its {why}");
    let mut assumed: Vec<String> = passed_over.map(why).into_iter().collect();
    let mut config = MaeConfig {
        image_size: grid * patch_size,
        patch_size,
        width,
        depth,
        mlp: mlp(source, "vit.layers", width)?,
        ..mae::preset("base")?
    };
    if source.has_decoder() {
        let width = shape(source, "decoder.decoder_embed.weight", 2)?[0];
        config.decoder_width = width;
        config.decoder_depth = blocks(source, "decoder.decoder_layers");
        config.decoder_mlp = mlp(source, "decoder.decoder_layers", width)?;
    }
    let encoder = hub.filter(|hub| hub.tells_encoder());
    let decoder = hub.filter(|hub| hub.tells_decoder());
    config.norm_pix_loss = match hints.norm_pix_loss.or(decoder.map(|hub| hub.norm_pix_loss)) {
        Some(told) => told,
        None => known_targets(source, &mut assumed),
    };
    set_heads(source, hub, hints, &mut config, &mut assumed)?;
    config.layer_norm_eps = hints.layer_norm_eps.or(encoder.map(|hub| hub.layer_norm_eps)).unwrap_or(1e-6);
    config.mask_ratio = decoder.map_or(0.75, |hub| hub.mask_ratio);
    match written_pixels(source).or(hub.and_then(|hub| hub.pixels)) {
        Some([mean, std]) => (config.pixel_mean, config.pixel_std) = (mean, std),
        None if is_published(source) => {}
        None => {
            let (mean, std) = (config.pixel_mean, config.pixel_std);
            assumed.push(format!("pixel_mean = {mean:?} and pixel_std = {std:?}, those of ImageNet"));
        }
    }
    config.check()?;
    Ok((config, assumed))
}

/// Shape of the tensor `name`, which has to have so many `axes`.
fn shape(source: &Renamed, name: &str, axes: usize) -> Result<Vec<usize>, TrainError> {
    match source.shape(name) {
        Some(shape) if shape.len() == axes => Ok(shape.to_vec()),
        Some(shape) => Err(bad(source, format!("tensor \"{name}\" has shape {shape:?}, expected {axes} axes"))),
        None => {
            let found = source.found();
            let found = few(&found, found.len());
            let text = "is missing: these are no weights of a masked autoencoder";
            Err(bad(source, format!("tensor \"{name}\" {text}; found {found}")))
        }
    }
}

/// Width, side of a patch, and patches along a side of a picture.
fn embedding(source: &Renamed) -> Result<[usize; 3], TrainError> {
    let kernel = shape(source, "vit.embeddings.patch_embeddings.projection.weight", 4)?;
    let [width, 3, patch_size, across] = kernel[..] else {
        return Err(bad(source, format!("the patch embedding has shape {kernel:?}, expected three channels")));
    };
    let positions = shape(source, "vit.embeddings.position_embeddings", 3)?;
    let grid = positions[1].saturating_sub(1).isqrt();
    if patch_size != across || grid * grid + 1 != positions[1] || grid == 0 {
        let text = format!("patches of {patch_size} x {across} and {} positions tell no square picture", positions[1]);
        return Err(bad(source, text));
    }
    Ok([width, patch_size, grid])
}

/// Blocks whose names begin with `prefix`.
fn blocks(source: &Renamed, prefix: &str) -> usize {
    (0..).take_while(|index| source.shape(&format!("{prefix}.{index}.layernorm_before.weight")).is_some()).count()
}

/// Hidden width of the MLPs of the blocks of `prefix`, 0 for four times `width`.
fn mlp(source: &Renamed, prefix: &str, width: usize) -> Result<usize, TrainError> {
    let hidden = shape(source, &format!("{prefix}.0.mlp.fc1.weight"), 2)?[0];
    Ok(if hidden == 4 * width { 0 } else { hidden })
}

/// Fails where tensors tell of an encoder or a decoder of another kind: without them it would be another network.
fn check_kind(source: &Renamed) -> Result<(), TrainError> {
    if !source.altering.is_empty() {
        let names = few(&source.altering, source.altering.len());
        let text = format!(
            "holds tensors of a kind of network that is not computed here: {names}; expected a plain Vision Transformer, \
             without layer scale, norms of queries and keys, registers or a norm before the blocks"
        );
        return Err(bad(source, text));
    }
    let has_pooled_norm = source.classifier.iter().any(|name| name.contains("fc_norm."));
    if has_pooled_norm && source.shape("vit.layernorm.weight").is_none() {
        let text = "was fine-tuned with global pooling: instead of the encoder's last layer norm (norm) it has one of the \
                    mean over patches (fc_norm); expected the weights from before fine-tuning, or fine-tuned with the class \
                    token";
        return Err(bad(source, text.to_owned()));
    }
    Ok(())
}

fn file_name(source: &Renamed) -> &str {
    source.path().rsplit(['/', '\\']).next().unwrap_or_default()
}

/// Whether the file is named as those that the authors of the method published.
fn is_published(source: &Renamed) -> bool {
    ["mae_pretrain", "mae_visualize"].iter().any(|name| file_name(source).starts_with(name))
}

/// Whether targets are normalised patches, as far as is known.
fn known_targets(source: &Renamed, assumed: &mut Vec<String>) -> bool {
    // The published files with a decoder: those for pictures predict pixels, the others normalised patches.
    let file = file_name(source);
    let normalised = file.starts_with("mae_pretrain") && file.contains("full");
    let known = normalised || file.starts_with("mae_visualize");
    if source.has_decoder() && !known {
        let text = "targets are raw pixels (norm_pix_loss = false); a config.json beside the file, or --norm-pix-loss on \
                    the command line, says otherwise";
        assumed.push(text.to_owned());
    }
    normalised
}

/// Sets the heads, which no shape tells.
fn set_heads(
    source: &Renamed,
    hub: Option<&HubConfig>,
    hints: &Hints,
    config: &mut MaeConfig,
    assumed: &mut Vec<String>,
) -> Result<(), TrainError> {
    let mut guessed = Vec::new();
    let mut heads = |told: Option<usize>, sizes: (usize, usize), name: &str, flag: &str| match told {
        Some(told) => Ok(told),
        None => {
            let text = "shapes do not tell how many heads there are; a config.json beside the file does, or";
            let known = known_heads(sizes.0, sizes.1, name == "decoder_heads");
            let known = known.ok_or_else(|| bad(source, format!("{text} {flag} on the command line")))?;
            guessed.push(format!("{name} = {known}"));
            Ok::<usize, TrainError>(known)
        }
    };
    let encoder = hub.filter(|hub| hub.tells_encoder()).map(|hub| hub.num_attention_heads);
    config.heads = heads(hints.heads.or(encoder), (config.width, config.depth), "heads", "--heads")?;
    if source.has_decoder() {
        let decoder = hub.filter(|hub| hub.tells_decoder()).map(|hub| hub.decoder_num_attention_heads);
        let sizes = (config.decoder_width, config.decoder_depth);
        config.decoder_heads = heads(hints.decoder_heads.or(decoder), sizes, "decoder_heads", "--decoder-heads")?;
    }
    if !guessed.is_empty() {
        assumed.push(format!("{}, as in the usual model of that width and depth", guessed.join(" and ")));
    }
    Ok(())
}

/// Mean and deviation of pixels as [`super::timm_metadata`] writes them.
fn written_pixels(source: &Renamed) -> Option<[[f64; 3]; 2]> {
    let channels = |key: &str| serde_json::from_str(source.metadata().get(key)?).ok();
    Some([channels("pixel_mean")?, channels("pixel_std")?])
}

fn bad(source: &Renamed, reason: String) -> TrainError {
    WeightsError::Layout { path: source.path().to_owned(), reason }.into()
}
