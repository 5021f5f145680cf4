//! The model (He et al. 2021), from Burn's own layers.

use std::error::Error;

use burn::module::{Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::activation::{gelu, softmax};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::case::Case;

type Fallible<T> = Result<T, Box<dyn Error>>;

/// The tensor called `name` on `device`.
fn tensor<const D: usize>(case: &Case, name: &str, device: &Device) -> Fallible<Tensor<D>> {
    let (shape, values) = case.values(name)?;
    Ok(Tensor::from_data(TensorData::new(values.to_vec(), shape.to_vec()), device))
}

/// The linear layer of the stacked outputs `names`; Burn keeps weights as `[inputs, outputs]`.
fn linear(case: &Case, names: &[String], device: &Device) -> Fallible<Linear> {
    let (mut rows, mut biases, mut inputs) = (Vec::new(), Vec::new(), 0);
    for name in names {
        let (shape, values) = case.values(&format!("param/{name}.weight"))?;
        inputs = shape[1..].iter().product();
        rows.extend_from_slice(values);
        biases.extend_from_slice(case.values(&format!("param/{name}.bias"))?.1);
    }
    let outputs = biases.len();
    let mut weight = Vec::with_capacity(rows.len());
    for input in 0..inputs {
        weight.extend((0..outputs).map(|output| rows[output * inputs + input]));
    }
    let mut linear = LinearConfig::new(inputs, outputs).init(device);
    linear.weight = Param::from_tensor(Tensor::from_data(TensorData::new(weight, [inputs, outputs]), device));
    linear.bias = Some(Param::from_tensor(Tensor::from_data(TensorData::new(biases, [outputs]), device)));
    Ok(linear)
}

fn norm(case: &Case, name: &str, device: &Device) -> Fallible<LayerNorm> {
    let gamma = tensor::<1>(case, &format!("param/{name}.weight"), device)?;
    let config = LayerNormConfig::new(gamma.dims()[0]).with_epsilon(case.shape.layer_norm_eps);
    let mut norm = config.init(device);
    norm.gamma = Param::from_tensor(gamma);
    norm.beta = Some(Param::from_tensor(tensor(case, &format!("param/{name}.bias"), device)?));
    Ok(norm)
}

#[derive(Module, Debug)]
struct Block {
    before: LayerNorm,
    qkv: Linear,
    out: Linear,
    after: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}

impl Block {
    fn new(case: &Case, name: &str, device: &Device) -> Fallible<Block> {
        let one = |part: &str| linear(case, &[format!("{name}.{part}")], device);
        let qkv = ["q", "k", "v"].map(|part| format!("{name}.attention.{part}_proj"));
        Ok(Block {
            before: norm(case, &format!("{name}.layernorm_before"), device)?,
            qkv: linear(case, &qkv, device)?,
            out: one("attention.o_proj")?,
            after: norm(case, &format!("{name}.layernorm_after"), device)?,
            fc1: one("mlp.fc1")?,
            fc2: one("mlp.fc2")?,
        })
    }

    fn forward(&self, x: Tensor<3>, heads: usize) -> Tensor<3> {
        let [batch, tokens, width] = x.dims();
        let head = width / heads;
        let qkv = self.qkv.forward(self.before.forward(x.clone()));
        let part = |index: usize| -> Tensor<4> {
            qkv.clone().narrow(2, index * width, width).reshape([batch, tokens, heads, head]).swap_dims(1, 2)
        };
        let scores = part(0).mul_scalar((head as f32).powf(-0.5)).matmul(part(1).swap_dims(2, 3));
        let mixed = softmax(scores, 3).matmul(part(2)).swap_dims(1, 2).reshape([batch, tokens, width]);
        let x = x + self.out.forward(mixed);
        let hidden = gelu(self.fc1.forward(self.after.forward(x.clone())));
        x + self.fc2.forward(hidden)
    }
}

/// The parameters.
#[derive(Module, Debug)]
pub struct Autoencoder {
    embedding: Linear,
    class: Param<Tensor<3>>,
    encoder: Vec<Block>,
    encoder_norm: LayerNorm,
    decoder_embed: Linear,
    hidden: Param<Tensor<3>>,
    decoder: Vec<Block>,
    decoder_norm: LayerNorm,
    pred: Linear,
}

/// What is not trained.
pub struct Inputs {
    image: Tensor<4>,
    positions: Tensor<3>,
    decoder_positions: Tensor<3>,
    keep: Tensor<2, Int>,
    restore: Tensor<2, Int>,
    mask: Tensor<2>,
}

impl Inputs {
    pub fn new(case: &Case, device: &Device) -> Fallible<Inputs> {
        let (batch, patches, visible) = (case.batch, case.shape.patches(), case.shape.visible());
        let noise = case.values("input/noise")?.1;
        let (mut keep, mut restore, mut mask) = (Vec::new(), Vec::new(), Vec::new());
        for noise in noise.chunks_exact(patches) {
            let mut shuffled: Vec<usize> = (0..patches).collect();
            shuffled.sort_by(|a, b| noise[*a].total_cmp(&noise[*b]));
            let mut places = vec![0; patches];
            for (place, patch) in shuffled.iter().enumerate() {
                places[*patch] = place as i32;
            }
            keep.extend(shuffled[..visible].iter().map(|patch| *patch as i32));
            mask.extend(places.iter().map(|place| f32::from(*place >= visible as i32)));
            restore.extend(places);
        }
        let ids = |ids: Vec<i32>| {
            let length = ids.len() / batch;
            Tensor::<2, Int>::from_data(TensorData::new(ids, [batch, length]), device)
        };
        Ok(Inputs {
            image: tensor(case, "input/pixel_values", device)?,
            positions: tensor(case, "param/vit.embeddings.position_embeddings", device)?,
            decoder_positions: tensor(case, "param/decoder.decoder_pos_embed", device)?,
            keep: ids(keep),
            restore: ids(restore),
            mask: Tensor::from_data(TensorData::new(mask, [batch, patches]), device),
        })
    }
}

/// Rows `ids` of every picture in `x`.
fn rows(x: Tensor<3>, ids: &Tensor<2, Int>) -> Tensor<3> {
    let [batch, count] = ids.dims();
    let width = x.dims()[2];
    x.gather(1, ids.clone().unsqueeze_dim::<3>(2).expand([batch, count, width]))
}

impl Autoencoder {
    pub fn new(case: &Case, device: &Device) -> Fallible<Autoencoder> {
        let one = |name: &str| linear(case, &[name.to_owned()], device);
        let token = |name: &str| -> Fallible<Param<Tensor<3>>> {
            Ok(Param::from_tensor(tensor(case, &format!("param/{name}"), device)?))
        };
        let blocks = |name: &str, count: usize| -> Fallible<Vec<Block>> {
            (0..count).map(|index| Block::new(case, &format!("{name}.{index}"), device)).collect()
        };
        Ok(Autoencoder {
            embedding: one("vit.embeddings.patch_embeddings.projection")?,
            class: token("vit.embeddings.cls_token")?,
            encoder: blocks("vit.layers", case.shape.depth)?,
            encoder_norm: norm(case, "vit.layernorm", device)?,
            decoder_embed: one("decoder.decoder_embed")?,
            hidden: token("decoder.mask_token")?,
            decoder: blocks("decoder.decoder_layers", case.shape.decoder_depth)?,
            decoder_norm: norm(case, "decoder.decoder_norm", device)?,
            pred: one("decoder.decoder_pred")?,
        })
    }

    /// The mean square error of hidden patches.
    pub fn loss(&self, case: &Case, inputs: &Inputs) -> Tensor<1> {
        let (shape, batch) = (&case.shape, case.batch);
        let (grid, patch, count, visible) = (shape.grid(), shape.patch_size, shape.patches(), shape.visible());
        let patches = inputs.image.clone().reshape([batch, 3, grid, patch, grid, patch]);
        let length = 3 * patch * patch;
        // As Unmask does it, hidden patches are dropped before the projection.
        let pixels = patches.clone().permute([0, 2, 4, 1, 3, 5]).reshape([batch, count, length]);
        let positions = inputs.positions.clone().narrow(1, 1, count).expand([batch, count, shape.width]);
        let tokens = self.embedding.forward(rows(pixels, &inputs.keep)) + rows(positions, &inputs.keep);
        let class = self.class.val() + inputs.positions.clone().narrow(1, 0, 1);
        let mut x = Tensor::cat(vec![class.expand([batch, 1, shape.width]), tokens], 1);
        for block in &self.encoder {
            x = block.forward(x, shape.heads);
        }
        let x = self.decoder_embed.forward(self.encoder_norm.forward(x));

        let width = shape.decoder_width;
        let hidden = self.hidden.val().expand([batch, count - visible, width]);
        let all = Tensor::cat(vec![x.clone().narrow(1, 1, visible), hidden], 1);
        let x = Tensor::cat(vec![x.narrow(1, 0, 1), rows(all, &inputs.restore)], 1);
        let mut x = x + inputs.decoder_positions.clone();
        for block in &self.decoder {
            x = block.forward(x, shape.decoder_heads);
        }
        let pred = self.pred.forward(self.decoder_norm.forward(x).narrow(1, 1, count));

        let mut target: Tensor<3> = patches.permute([0, 2, 4, 3, 5, 1]).reshape([batch, count, length]);
        if shape.norm_pix_loss {
            let deviation = (target.clone().var(2) + 1e-6).sqrt();
            target = (target.clone() - target.mean_dim(2)) / deviation;
        }
        let error = (pred - target).square().mean_dim(2).reshape([batch, count]);
        (error * inputs.mask.clone()).sum() / (batch * (count - visible)) as f32
    }
}
