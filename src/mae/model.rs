//! Encoder and decoder (He et al. 2021, section 3).

use super::config::CHANNELS;
use super::{MaeConfig, MaeError, Masks};
use crate::graph::{Graph, Var};
use crate::nn::{BlockShape, BlockVars, Builder, Init, ParamSpec, block, sincos_positions};
use crate::ops::{self, HiddenRowsVars, PatchOrder};

/// What an autoencoder computes for a batch of `B` pictures.
#[derive(Clone, Copy, Debug)]
pub struct MaeVars {
    /// Mean square error over hidden patches `[1]`.
    pub loss: Var,
    /// Mean square error of each patch `[B * L]`.
    pub per_patch: Var,
    /// Predicted patches `[B, L, p * p * 3]`, rows, then columns, then channels.
    pub pred: Var,
    /// What is predicted: the patches, normalised one by one where the configuration says so.
    pub target: Var,
    /// Mean and deviation of each patch `[B * L, 2]`, where targets are normalised.
    pub patch_stats: Option<Var>,
    /// Encoder output `[B, 1 + K, D]`, the class token first.
    pub latent: Var,
    /// The masks used.
    pub masks: Masks,
}

/// What an encoder computes.
#[derive(Clone, Debug)]
pub struct EncoderVars {
    /// Its output `[B, 1 + n, D]`, the class token first.
    pub latent: Var,
    /// What its blocks compute on the way, first to last.
    pub blocks: Vec<BlockVars>,
    /// The position table `[1, 1 + L, D]`.
    pub positions: Var,
}

/// Embeds patches `[B, n, c p p]` (channels first, as the weight of a convolution) to `[B, n, D]`.
fn patch_embedding(b: &mut Builder, config: &MaeConfig, patches: Var) -> Result<Var, MaeError> {
    let (width, len, patch) = (config.width, config.patch_len(), config.patch_size);
    let name = "vit.embeddings.patch_embeddings.projection";
    let init = Init::XavierUniform { fan_in: len, fan_out: width };
    let shape = [width, CHANNELS, patch, patch];
    let weight = b.param(ParamSpec::new(format!("{name}.weight"), &shape, &[width, len], init));
    // The reference leaves this bias at its framework's default for convolutions.
    let bias = Init::Uniform { bound: 1.0 / (len as f64).sqrt() };
    let bias = b.param(ParamSpec::new(format!("{name}.bias"), &[width], &[width], bias));
    Ok(b.affine(patches, weight, bias)?)
}

fn position_table(b: &mut Builder, name: &str, width: usize, grid: usize) -> Var {
    let shape = [1, 1 + grid * grid, width];
    let table = Init::Table(sincos_positions(width, grid, grid));
    b.param(ParamSpec::new(name, &shape, &shape, table).fixed())
}

fn token(b: &mut Builder, name: &str, width: usize) -> Var {
    let shape = [1, 1, width];
    b.param(ParamSpec::new(name, &shape, &shape, Init::Normal { std: 0.02 }))
}

/// Patches of `image [B, 3, S, S]` in the order of the embedding's weight.
fn embedding_patches(graph: &mut Graph, config: &MaeConfig, image: Var) -> Result<Var, MaeError> {
    Ok(ops::patchify(graph, image, config.patch_size, PatchOrder::ChannelRowColumn)?)
}

/// Encodes `image [B, 3, S, S]` to `[B, 1 + n, D]`: the visible patches, in shuffled order, or all of them where the
/// encoder sees masks, in raster order.
///
/// # Errors
/// Inputs whose shapes are not those of `config`.
pub fn encoder(b: &mut Builder, config: &MaeConfig, image: Var, masks: Masks) -> Result<EncoderVars, MaeError> {
    let patches = embedding_patches(&mut b.graph, config, image)?;
    let table = position_table(b, "vit.embeddings.position_embeddings", config.width, config.grid());
    let positions = ops::slice_rows(&mut b.graph, table, 1, config.patches())?;
    let Masks { ids_keep, ids_restore, .. } = masks;

    // Hidden patches are dropped before the projection: the same result for a quarter of the work.
    let visible = ops::gather_rows(&mut b.graph, patches, ids_keep, ids_restore, None)?;
    let embedded = patch_embedding(b, config, visible)?;
    let tokens = if config.encoder_sees_masks {
        let hidden = token(b, "vit.embeddings.mask_token", config.width);
        let all = ops::gather_rows(&mut b.graph, embedded, ids_restore, ids_keep, Some(hidden))?;
        ops::add(&mut b.graph, all, positions)?
    } else {
        let positions = ops::gather_rows(&mut b.graph, positions, ids_keep, ids_restore, None)?;
        ops::add(&mut b.graph, embedded, positions)?
    };
    // The class token's position is zero where the table is the fixed one; weights from elsewhere may have learned one.
    let class = token(b, "vit.embeddings.cls_token", config.width);
    let position = ops::slice_rows(&mut b.graph, table, 0, 1)?;
    let class = ops::add(&mut b.graph, class, position)?;
    let mut x = ops::concat_rows(&mut b.graph, class, tokens)?;
    let shape = BlockShape { heads: config.heads, mlp: config.mlp_width(), eps: config.layer_norm_eps as f32 };
    let mut blocks = Vec::with_capacity(config.depth);
    for index in 0..config.depth {
        let vars = block(b, &format!("vit.layers.{index}"), x, shape, None)?;
        x = vars.out;
        blocks.push(vars);
    }
    let latent = b.layer_norm("vit.layernorm", x, config.layer_norm_eps as f32)?;
    Ok(EncoderVars { latent, blocks, positions: table })
}

/// Decodes a latent to predicted patches `[B, L, p * p * 3]`, or to the hidden ones alone `[B, H, p * p * 3]`.
fn decoder(
    b: &mut Builder,
    config: &MaeConfig,
    latent: Var,
    masks: Masks,
    hidden: Option<&HiddenRowsVars>,
) -> Result<Var, MaeError> {
    let width = config.decoder_width;
    let x = b.linear("decoder.decoder_embed", latent, width)?;
    let x = if config.encoder_sees_masks {
        x
    } else {
        let tokens = b.graph.shape(x)[1];
        let class = ops::slice_rows(&mut b.graph, x, 0, 1)?;
        let visible = ops::slice_rows(&mut b.graph, x, 1, tokens - 1)?;
        let hidden = token(b, "decoder.mask_token", width);
        let all = ops::gather_rows(&mut b.graph, visible, masks.ids_restore, masks.ids_keep, Some(hidden))?;
        ops::concat_rows(&mut b.graph, class, all)?
    };
    let table = position_table(b, "decoder.decoder_pos_embed", width, config.grid());
    let mut x = ops::add(&mut b.graph, x, table)?;
    let eps = config.layer_norm_eps as f32;
    let shape = BlockShape { heads: config.decoder_heads, mlp: config.decoder_mlp_width(), eps };
    for index in 0..config.decoder_depth {
        let hidden = hidden.filter(|_| index + 1 == config.decoder_depth);
        x = block(b, &format!("decoder.decoder_layers.{index}"), x, shape, hidden)?.out;
    }
    let mut x = b.layer_norm("decoder.decoder_norm", x, eps)?;
    if hidden.is_none() {
        x = ops::slice_rows(&mut b.graph, x, 1, config.patches())?;
    }
    Ok(b.linear("decoder.decoder_pred", x, config.patch_len())?)
}

/// The whole autoencoder on `image [B, 3, S, S]`, normalised pixels.
///
/// # Errors
/// As [`encoder`].
pub fn autoencoder(b: &mut Builder, config: &MaeConfig, image: Var, masks: Masks) -> Result<MaeVars, MaeError> {
    let latent = encoder(b, config, image, masks)?.latent;
    let pred = decoder(b, config, latent, masks, None)?;
    let patches = ops::patchify(&mut b.graph, image, config.patch_size, PatchOrder::RowColumnChannel)?;
    let (target, patch_stats) = targets(b, config, patches)?;
    let losses = ops::masked_mse(&mut b.graph, pred, target, masks.mask)?;
    Ok(MaeVars { loss: losses.loss, per_patch: losses.per_row, pred, target, patch_stats, latent, masks })
}

/// The loss of [`autoencoder`] alone, `[1]`: what is trained on.
///
/// Only hidden patches count in it. So what follows the last attention, where tokens see each other for the last time, is
/// computed of these alone: the same loss and gradients, up to the order of sums, for less work.
///
/// # Errors
/// As [`encoder`].
pub fn pretraining(b: &mut Builder, config: &MaeConfig, image: Var, masks: Masks) -> Result<Var, MaeError> {
    let latent = encoder(b, config, image, masks)?.latent;
    hidden_loss(b, config, image, latent, masks)
}

/// The same for the encoder's output `latent [B, 1 + K, D]`.
///
/// # Errors
/// As [`encoder`].
pub fn hidden_loss(
    b: &mut Builder,
    config: &MaeConfig,
    image: Var,
    latent: Var,
    masks: Masks,
) -> Result<Var, MaeError> {
    let patches = ops::patchify(&mut b.graph, image, config.patch_size, PatchOrder::RowColumnChannel)?;
    if config.visible() == config.patches() || config.decoder_depth == 0 {
        let pred = decoder(b, config, latent, masks, None)?;
        let (target, _) = targets(b, config, patches)?;
        return Ok(ops::masked_mse(&mut b.graph, pred, target, masks.mask)?.loss);
    }
    let hidden = ops::hidden_rows(&mut b.graph, masks.ids_restore, config.visible())?;
    let pred = decoder(b, config, latent, masks, Some(&hidden))?;
    // Targets have no gradient, the way back is of no matter.
    let patches = ops::gather_rows(&mut b.graph, patches, hidden.patches, masks.ids_restore, None)?;
    let (target, _) = targets(b, config, patches)?;
    Ok(ops::masked_mse(&mut b.graph, pred, target, hidden.one)?.loss)
}

/// What is predicted of `patches`, and their mean and deviation where these are taken out.
fn targets(b: &mut Builder, config: &MaeConfig, patches: Var) -> Result<(Var, Option<Var>), MaeError> {
    Ok(match config.norm_pix_loss {
        true => {
            let (target, stats) = ops::normalise_patches(&mut b.graph, patches)?;
            (target, Some(stats))
        }
        false => (patches, None),
    })
}
