//! The masked autoencoder as a graph of meganeura, one picture a step: its attention takes one sequence.

use std::collections::HashMap;
use std::error::Error;

use meganeura::Graph;
use meganeura::graph::NodeId;

use crate::case::{Case, Shape};

/// What the graph is fed with by name.
#[derive(Default)]
pub struct Feeds {
    pub parameters: HashMap<String, Vec<f32>>,
    pub inputs: HashMap<String, Vec<f32>>,
    pub indices: HashMap<String, Vec<u32>>,
}

struct Builder<'a> {
    graph: Graph,
    case: &'a Case,
    feeds: Feeds,
}

impl Builder<'_> {
    fn parameter(&mut self, name: &str, shape: &[usize], values: Vec<f32>) -> NodeId {
        self.feeds.parameters.insert(name.to_owned(), values);
        self.graph.parameter(name, shape)
    }

    fn input(&mut self, name: &str, shape: &[usize], values: Vec<f32>) -> NodeId {
        self.feeds.inputs.insert(name.to_owned(), values);
        self.graph.input(name, shape)
    }

    /// Weights of a linear layer [in, out], from [out, in] in the case.
    fn weight(&mut self, name: &str) -> Result<NodeId, Box<dyn Error>> {
        let (shape, values) = self.case.values(&format!("param/{name}.weight"))?;
        let (out, inner) = (shape[0], values.len() / shape[0]);
        let turned = (0..inner * out).map(|i| values[i % out * inner + i / out]).collect();
        Ok(self.parameter(&format!("{name}.weight"), &[inner, out], turned))
    }

    fn vector(&mut self, name: &str) -> Result<NodeId, Box<dyn Error>> {
        let (_, values) = self.case.values(&format!("param/{name}"))?;
        Ok(self.parameter(name, &[values.len()], values.to_vec()))
    }

    fn linear(&mut self, x: NodeId, name: &str) -> Result<NodeId, Box<dyn Error>> {
        let (weight, bias) = (self.weight(name)?, self.vector(&format!("{name}.bias"))?);
        let product = self.graph.matmul(x, weight);
        Ok(self.graph.bias_add(product, bias))
    }

    fn norm(&mut self, x: NodeId, name: &str) -> Result<NodeId, Box<dyn Error>> {
        let (weight, bias) = (self.vector(&format!("{name}.weight"))?, self.vector(&format!("{name}.bias"))?);
        Ok(self.graph.layer_norm(x, weight, bias, self.case.shape.layer_norm_eps as f32))
    }

    /// The tanh form out of single ops: the gradient of meganeura's own GELU is that of x sigmoid(1.702 x).
    fn gelu(&mut self, x: NodeId, shape: &[usize]) -> NodeId {
        let g = &mut self.graph;
        let count = shape.iter().product();
        let constant = |g: &mut Graph, value: f32| g.constant(vec![value; count], shape);
        let (cubic, scale, half, one) = (
            constant(g, 0.044_715),
            constant(g, (2.0 / std::f32::consts::PI).sqrt()),
            constant(g, 0.5),
            constant(g, 1.0),
        );
        let square = g.mul(x, x);
        let bent = g.mul(square, cubic);
        let bent = g.add(bent, one);
        let inner = g.mul(x, bent);
        let inner = g.mul(inner, scale);
        let gate = g.tanh(inner);
        let gate = g.add(gate, one);
        let gate = g.mul(gate, half);
        g.mul(x, gate)
    }

    fn block(
        &mut self,
        x: NodeId,
        name: &str,
        rows: usize,
        width: usize,
        heads: usize,
    ) -> Result<NodeId, Box<dyn Error>> {
        let y = self.norm(x, &format!("{name}.layernorm_before"))?;
        let [q, k, v] = ["q", "k", "v"].map(|which| format!("{name}.attention.{which}_proj"));
        let (q, k, v) = (self.linear(y, &q)?, self.linear(y, &k)?, self.linear(y, &v)?);
        let (count, size) = (heads as u32, (width / heads) as u32);
        let mixed = self.graph.multi_head_attn(q, k, v, count, count, size, false);
        let out = self.linear(mixed, &format!("{name}.attention.o_proj"))?;
        let x = self.graph.add(x, out);
        let y = self.norm(x, &format!("{name}.layernorm_after"))?;
        let wide = self.linear(y, &format!("{name}.mlp.fc1"))?;
        let wide = self.gelu(wide, &[rows, 4 * width]);
        let y = self.linear(wide, &format!("{name}.mlp.fc2"))?;
        Ok(self.graph.add(x, y))
    }
}

/// The graph of the loss, and what to feed it with. Patches are cut, chosen and normalised here, once: they do not change.
pub fn autoencoder(case: &Case) -> Result<(Graph, Feeds), Box<dyn Error>> {
    if case.batch != 1 {
        return Err(
            format!("meganeura's attention takes one sequence: expected --batch 1, found {}", case.batch).into()
        );
    }
    let shape = &case.shape;
    let (count, visible, width, small) = (shape.patches(), shape.visible(), shape.width, shape.decoder_width);
    let (_, noise) = case.values("input/noise")?;
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|a, b| noise[*a].total_cmp(&noise[*b]));
    let (keep, hidden) = order.split_at(visible);
    let (_, image) = case.values("input/pixel_values")?;
    let mut b = Builder { graph: Graph::new(), case, feeds: Feeds::default() };

    // Visible patches with a row of zeros before them, where the class token goes.
    let length = 3 * shape.patch_size * shape.patch_size;
    let mut pixels = vec![0.0; length];
    keep.iter().for_each(|patch| pixels.extend(pixels_of(shape, image, *patch, true)));
    let rows = visible + 1;
    let pixels = b.input("pixels", &[rows, length], pixels);
    let weight = b.weight("vit.embeddings.patch_embeddings.projection")?;
    let x = b.graph.matmul(pixels, weight);
    let flags = |token: bool, rows: usize| (0..rows).map(|row| f32::from((row > 0) == token)).collect::<Vec<f32>>();
    let is_token = b.input("is_token", &[rows, 1], flags(true, rows));
    let (_, bias) = case.values("param/vit.embeddings.patch_embeddings.projection.bias")?;
    let bias = b.parameter("projection.bias", &[1, width], bias.to_vec());
    let biases = b.graph.matmul(is_token, bias);
    let is_class = b.input("is_class", &[rows, 1], flags(false, rows));
    let (_, class) = case.values("param/vit.embeddings.cls_token")?;
    let class = b.parameter("cls_token", &[1, width], class.to_vec());
    let classes = b.graph.matmul(is_class, class);
    let (_, positions) = case.values("param/vit.embeddings.position_embeddings")?;
    let place = |row: &usize| positions[row * width..(row + 1) * width].iter().copied();
    let chosen = [0].into_iter().chain(keep.iter().map(|patch| patch + 1));
    let positions: Vec<f32> = chosen.collect::<Vec<_>>().iter().flat_map(place).collect();
    let positions = b.input("positions", &[rows, width], positions);
    let mut x = [biases, classes, positions].into_iter().fold(x, |x, part| b.graph.add(x, part));
    for layer in 0..shape.depth {
        x = b.block(x, &format!("vit.layers.{layer}"), rows, width, shape.heads)?;
    }
    let x = b.norm(x, "vit.layernorm")?;
    let x = b.linear(x, "decoder.decoder_embed")?;

    // Back in place; a hidden patch takes row 0 and gives it up for the mask token.
    let all = count + 1;
    let mut from = vec![0u32; all];
    keep.iter().enumerate().for_each(|(row, patch)| from[patch + 1] = row as u32 + 1);
    let mut lacks = vec![0.0f32; all];
    hidden.iter().for_each(|patch| lacks[patch + 1] = 1.0);
    let has: Vec<f32> = lacks.iter().flat_map(|lack| std::iter::repeat_n(1.0 - lack, small)).collect();
    b.feeds.indices.insert("from".to_owned(), from);
    let from = b.graph.input_u32("from", &[all]);
    let x = b.graph.embedding(from, x);
    let has = b.input("has", &[all, small], has);
    let x = b.graph.mul(x, has);
    let lacks = b.input("lacks", &[all, 1], lacks);
    let (_, token) = case.values("param/decoder.mask_token")?;
    let token = b.parameter("mask_token", &[1, small], token.to_vec());
    let tokens = b.graph.matmul(lacks, token);
    let (_, positions) = case.values("param/decoder.decoder_pos_embed")?;
    let positions = b.input("decoder_positions", &[all, small], positions.to_vec());
    let x = b.graph.add(x, tokens);
    let mut x = b.graph.add(x, positions);
    for layer in 0..shape.decoder_depth {
        x = b.block(x, &format!("decoder.decoder_layers.{layer}"), all, small, shape.decoder_heads)?;
    }
    let x = b.norm(x, "decoder.decoder_norm")?;
    let pred = b.linear(x, "decoder.decoder_pred")?;

    // The target negated; weights of the squares: 1 / (hidden patches x numbers a patch), and 0 for what is visible.
    let mut target = vec![0.0; all * length];
    let mut weights = vec![0.0; all * length];
    for patch in hidden {
        let place = (patch + 1) * length..(patch + 2) * length;
        let mut values = pixels_of(shape, image, *patch, false);
        if shape.norm_pix_loss {
            normalise(&mut values);
        }
        target[place.clone()].iter_mut().zip(values).for_each(|(target, value)| *target = -value);
        weights[place].fill(1.0 / (hidden.len() * length) as f32);
    }
    let target = b.input("target", &[all, length], target);
    let weights = b.input("weights", &[all, length], weights);
    let difference = b.graph.add(pred, target);
    let square = b.graph.mul(difference, difference);
    let weighed = b.graph.mul(square, weights);
    let loss = b.graph.sum_all(weighed);
    b.graph.set_outputs(vec![loss]);
    Ok((b.graph, b.feeds))
}

/// A patch's pixels: channel by channel as the projection takes them, or pixel by pixel as targets are.
fn pixels_of(shape: &Shape, image: &[f32], patch: usize, by_channel: bool) -> Vec<f32> {
    let (side, size) = (shape.image_size, shape.patch_size);
    let (top, left) = (patch / shape.grid() * size, patch % shape.grid() * size);
    let at = |channel: usize, row: usize, column: usize| image[(channel * side + top + row) * side + left + column];
    let pixels = size * size;
    (0..3 * pixels)
        .map(|i| {
            let (channel, pixel) = if by_channel { (i / pixels, i % pixels) } else { (i % 3, i / 3) };
            at(channel, pixel / size, pixel % size)
        })
        .collect()
}

/// Mean 0 and variance 1, the variance with one degree of freedom less (He et al. 2021, section 4).
fn normalise(values: &mut [f32]) {
    let count = values.len() as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
    let variance = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / (count - 1.0);
    values.iter_mut().for_each(|v| *v = ((f64::from(*v) - mean) / (variance + 1e-6).sqrt()) as f32);
}
