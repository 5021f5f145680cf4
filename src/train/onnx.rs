//! A model as an ONNX graph: the encoder for features, or the whole autoencoder with noise as an input.

use std::path::Path;

use super::{Opened, TrainError, config_metadata};
use crate::mae::MaeConfig;
use crate::weights::WeightsError;
use crate::weights::onnx::{Attribute, FLOAT, Graph, INT64, Model, Node, Port, TensorProto, write_onnx};

/// What of a model is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnnxPart {
    /// `pixel_values [B, 3, S, S]` to `last_hidden_state [B, 1 + L, D]`, with all patches visible.
    Encoder,
    /// `pixel_values` and `noise [B, L]` to `logits [B, L, p * p * 3]`, `mask [B, L]` and `ids_restore [B, L]`.
    Whole,
}

/// Writes `model` to `path` as ONNX. Pixels are normalised by the mean and deviation in the file's metadata.
///
/// # Errors
/// An encoder alone where the whole model is asked for; an encoder that sees mask tokens; what writing gives.
pub fn export_onnx(model: &Opened, part: OnnxPart, path: &Path) -> Result<(), TrainError> {
    let config = &model.config;
    if part == OnnxPart::Whole {
        model.need_decoder()?;
        if config.encoder_sees_masks {
            let reason = "an encoder that sees mask tokens can be exported for features only".to_owned();
            return Err(WeightsError::Layout { path: path.display().to_string(), reason }.into());
        }
    }
    let mut net = Net { config, graph: Graph::default(), weights: Vec::new() };
    let (side, patches) = (config.image_size, config.patches());
    net.graph.name = match part {
        OnnxPart::Encoder => "encoder".to_owned(),
        OnnxPart::Whole => "autoencoder".to_owned(),
    };
    net.graph.input.push(Port::batched("pixel_values", FLOAT, &[3, side, side]));
    match part {
        OnnxPart::Encoder => {
            net.encoder(None, "last_hidden_state");
            net.graph.output.push(Port::batched("last_hidden_state", FLOAT, &[1 + patches, config.width]));
        }
        OnnxPart::Whole => {
            net.graph.input.push(Port::batched("noise", FLOAT, &[patches]));
            net.autoencoder();
            let outputs = [("logits", FLOAT, vec![patches, config.patch_len()])];
            let masks = [("mask", FLOAT, vec![patches]), ("ids_restore", INT64, vec![patches])];
            let ports = outputs.iter().chain(&masks).map(|(name, kind, rest)| Port::batched(name, *kind, rest));
            net.graph.output.extend(ports);
        }
    }
    let three = |values: [f64; 3]| values.map(|value| value.to_string()).join(",");
    let [_, (_, json)] = config_metadata(config)?;
    let metadata = [
        ("model", json),
        ("image_size", side.to_string()),
        ("patch_size", config.patch_size.to_string()),
        ("pixel_mean", three(config.pixel_mean)),
        ("pixel_std", three(config.pixel_std)),
        ("norm_pix_loss", config.norm_pix_loss.to_string()),
    ];
    let Net { graph, weights, .. } = net;
    Ok(write_onnx(path, Model::new(graph, &metadata), &model.weights, &weights)?)
}

/// A graph under construction; names of values are those of what makes them.
struct Net<'a> {
    config: &'a MaeConfig,
    graph: Graph,
    weights: Vec<String>,
}

impl Net<'_> {
    /// Adds an operation whose only output is called `out`.
    fn add(&mut self, op: &str, inputs: &[&str], out: &str, attributes: Vec<Attribute>) -> String {
        self.add_several(op, inputs, &[out], attributes);
        out.to_owned()
    }

    fn add_several(&mut self, op: &str, inputs: &[&str], outputs: &[&str], attribute: Vec<Attribute>) {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let name = format!("{op}:{}", outputs.last().unwrap_or(&op));
        self.graph.node.push(Node {
            input: names(inputs),
            output: names(outputs),
            name,
            op_type: op.to_owned(),
            attribute,
        });
    }

    /// The weight called `name`.
    fn weight(&mut self, name: &str) -> String {
        if !self.weights.iter().any(|known| known == name) {
            self.weights.push(name.to_owned());
        }
        name.to_owned()
    }

    /// Constant integers, as shapes and places are.
    fn ints(&mut self, values: &[i64]) -> String {
        let name = format!("const:{}", values.iter().map(i64::to_string).collect::<Vec<_>>().join(","));
        self.constant(name, INT64, &[values.len() as i64], values.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    fn float(&mut self, value: f32) -> String {
        self.constant(format!("const:{value:e}f"), FLOAT, &[], value.to_le_bytes().to_vec())
    }

    fn constant(&mut self, name: String, data_type: i32, dims: &[i64], bytes: Vec<u8>) -> String {
        if !self.graph.initializer.iter().any(|tensor| tensor.name == name) {
            self.graph.initializer.push(TensorProto {
                dims: dims.to_vec(),
                data_type,
                name: name.clone(),
                raw_data: Some(bytes),
                ..TensorProto::default()
            });
        }
        name
    }

    /// Elements `from..to` along the second axis.
    fn slice(&mut self, x: &str, from: usize, to: usize, out: &str) -> String {
        let (from, to, axis) = (self.ints(&[from as i64]), self.ints(&[to as i64]), self.ints(&[1]));
        self.add("Slice", &[x, &from, &to, &axis], out, Vec::new())
    }

    fn linear(&mut self, name: &str, x: &str, out: &str) -> String {
        let (weight, bias) = (self.weight(&format!("{name}.weight")), self.weight(&format!("{name}.bias")));
        let turned = self.add("Transpose", &[&weight], &format!("{weight}.T"), vec![Attribute::ints("perm", &[1, 0])]);
        let product = self.add("MatMul", &[x, &turned], &format!("{out}:product"), Vec::new());
        self.add("Add", &[&product, &bias], out, Vec::new())
    }

    fn layer_norm(&mut self, name: &str, x: &str, out: &str) -> String {
        let (weight, bias) = (self.weight(&format!("{name}.weight")), self.weight(&format!("{name}.bias")));
        let epsilon = Attribute::float("epsilon", self.config.layer_norm_eps as f32);
        self.add("LayerNormalization", &[x, &weight, &bias], out, vec![Attribute::int("axis", -1), epsilon])
    }

    /// `x / 2 (1 + erf(x / sqrt 2))`.
    fn gelu(&mut self, x: &str, out: &str) -> String {
        let (root, one, half) = (self.float(std::f32::consts::SQRT_2), self.float(1.0), self.float(0.5));
        let scaled = self.add("Div", &[x, &root], &format!("{out}:scaled"), Vec::new());
        let erf = self.add("Erf", &[&scaled], &format!("{out}:erf"), Vec::new());
        let sum = self.add("Add", &[&erf, &one], &format!("{out}:sum"), Vec::new());
        let share = self.add("Mul", &[&sum, &half], &format!("{out}:share"), Vec::new());
        self.add("Mul", &[x, &share], out, Vec::new())
    }

    /// Attention of `heads` heads over tokens `width` wide.
    fn attention(&mut self, name: &str, x: &str, width: usize, heads: usize) -> String {
        let head = width / heads;
        let split = self.ints(&[0, 0, heads as i64, head as i64]);
        let mut parts = Vec::new();
        for (which, order) in [("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])] {
            let name = format!("{name}.{which}_proj");
            let flat = self.linear(&name, x, &format!("{name}:out"));
            let apart = self.add("Reshape", &[&flat, &split], &format!("{name}:heads"), Vec::new());
            parts.push(self.add(
                "Transpose",
                &[&apart],
                &format!("{name}:turned"),
                vec![Attribute::ints("perm", &order)],
            ));
        }
        let scale = self.float(1.0 / (head as f32).sqrt());
        let products = self.add("MatMul", &[&parts[0], &parts[1]], &format!("{name}:products"), Vec::new());
        let scores = self.add("Mul", &[&products, &scale], &format!("{name}:scores"), Vec::new());
        let shares = self.add("Softmax", &[&scores], &format!("{name}:shares"), vec![Attribute::int("axis", -1)]);
        let mixed = self.add("MatMul", &[&shares, &parts[2]], &format!("{name}:mixed"), Vec::new());
        let order = vec![Attribute::ints("perm", &[0, 2, 1, 3])];
        let mixed = self.add("Transpose", &[&mixed], &format!("{name}:mixed back"), order);
        let joined = self.ints(&[0, 0, width as i64]);
        let mixed = self.add("Reshape", &[&mixed, &joined], &format!("{name}:joined"), Vec::new());
        self.linear(&format!("{name}.o_proj"), &mixed, &format!("{name}:out"))
    }

    fn blocks(&mut self, prefix: &str, mut x: String, depth: usize, width: usize, heads: usize) -> String {
        for index in 0..depth {
            let name = format!("{prefix}.{index}");
            let normed = self.layer_norm(&format!("{name}.layernorm_before"), &x, &format!("{name}:normed"));
            let attended = self.attention(&format!("{name}.attention"), &normed, width, heads);
            let sum = self.add("Add", &[&x, &attended], &format!("{name}:sum"), Vec::new());
            let normed = self.layer_norm(&format!("{name}.layernorm_after"), &sum, &format!("{name}:normed again"));
            let hidden = self.linear(&format!("{name}.mlp.fc1"), &normed, &format!("{name}:hidden"));
            let hidden = self.gelu(&hidden, &format!("{name}:gelu"));
            let hidden = self.linear(&format!("{name}.mlp.fc2"), &hidden, &format!("{name}:mlp"));
            x = self.add("Add", &[&sum, &hidden], &format!("{name}:out"), Vec::new());
        }
        x
    }

    /// `token [1, 1, width]` as `count` tokens of each picture of the batch.
    fn repeated(&mut self, token: &str, count: usize, width: usize, out: &str) -> String {
        let shape = self.add("Shape", &["pixel_values"], &format!("{out}:shape"), vec![Attribute::int("end", 1)]);
        let rest = self.ints(&[count as i64, width as i64]);
        let axis = vec![Attribute::int("axis", 0)];
        let shape = self.add("Concat", &[&shape, &rest], &format!("{out}:extents"), axis);
        self.add("Expand", &[token, &shape], out, Vec::new())
    }

    /// Rows of `x [B, N, D]` at the places `ids [B, K]`.
    fn gather(&mut self, x: &str, ids: &str, out: &str) -> String {
        let axis = self.ints(&[-1]);
        let places = self.add("Unsqueeze", &[ids, &axis], &format!("{out}:places"), Vec::new());
        self.add("GatherND", &[x, &places], out, vec![Attribute::int("batch_dims", 1)])
    }

    /// The encoder over the patches `ids_keep`, or all of them.
    fn encoder(&mut self, ids_keep: Option<&str>, out: &str) -> String {
        let (width, patches, patch) = (self.config.width, self.config.patches(), self.config.patch_size as i64);
        let projection = "vit.embeddings.patch_embeddings.projection";
        let weight = self.weight(&format!("{projection}.weight"));
        let bias = self.weight(&format!("{projection}.bias"));
        let strides =
            vec![Attribute::ints("strides", &[patch, patch]), Attribute::ints("kernel_shape", &[patch, patch])];
        let grid = self.add("Conv", &["pixel_values", &weight, &bias], "patches:grid", strides);
        let flat = self.ints(&[0, width as i64, patches as i64]);
        let flat = self.add("Reshape", &[&grid, &flat], "patches:flat", Vec::new());
        let tokens = self.add("Transpose", &[&flat], "patches", vec![Attribute::ints("perm", &[0, 2, 1])]);
        let table = self.weight("vit.embeddings.position_embeddings");
        let positions = self.slice(&table, 1, 1 + patches, "positions");
        let placed = self.add("Add", &[&tokens, &positions], "patches:placed", Vec::new());
        let visible = match ids_keep {
            Some(ids) => self.gather(&placed, ids, "patches:visible"),
            None => placed,
        };
        let class = self.weight("vit.embeddings.cls_token");
        let place = self.slice(&table, 0, 1, "class:position");
        let class = self.add("Add", &[&class, &place], "class", Vec::new());
        let class = self.repeated(&class, 1, width, "class:batch");
        let x = self.add("Concat", &[&class, &visible], "tokens", vec![Attribute::int("axis", 1)]);
        let x = self.blocks("vit.layers", x, self.config.depth, width, self.config.heads);
        self.layer_norm("vit.layernorm", &x, out)
    }

    fn autoencoder(&mut self) {
        let (patches, visible) = (self.config.patches(), self.config.visible());
        let all = self.ints(&[patches as i64]);
        // The k smallest in ascending order, of equals the first: a stable argsort, twice over.
        let ascending = || vec![Attribute::int("axis", -1), Attribute::int("largest", 0), Attribute::int("sorted", 1)];
        self.add_several("TopK", &["noise", &all], &["noise:sorted", "ids_shuffle"], ascending());
        self.add_several("TopK", &["ids_shuffle", &all], &["ids_shuffle:sorted", "ids_restore"], ascending());
        let ids_keep = self.slice("ids_shuffle", 0, visible, "ids_keep");
        let first_hidden = self.ints(&[visible as i64]);
        let hidden = self.add("GreaterOrEqual", &["ids_restore", &first_hidden], "hidden", Vec::new());
        self.add("Cast", &[&hidden], "mask", vec![Attribute::int("to", i64::from(FLOAT))]);
        let latent = self.encoder(Some(&ids_keep), "latent");

        let width = self.config.decoder_width;
        let embedded = self.linear("decoder.decoder_embed", &latent, "decoder:embedded");
        let class = self.slice(&embedded, 0, 1, "decoder:class");
        let seen = self.slice(&embedded, 1, 1 + visible, "decoder:visible");
        let token = self.weight("decoder.mask_token");
        let tokens = self.repeated(&token, patches - visible, width, "decoder:hidden");
        let shuffled = self.add("Concat", &[&seen, &tokens], "decoder:shuffled", vec![Attribute::int("axis", 1)]);
        let restored = self.gather(&shuffled, "ids_restore", "decoder:restored");
        let x = self.add("Concat", &[&class, &restored], "decoder:tokens", vec![Attribute::int("axis", 1)]);
        let table = self.weight("decoder.decoder_pos_embed");
        let x = self.add("Add", &[&x, &table], "decoder:placed", Vec::new());
        let (depth, heads) = (self.config.decoder_depth, self.config.decoder_heads);
        let x = self.blocks("decoder.decoder_layers", x, depth, width, heads);
        let x = self.layer_norm("decoder.decoder_norm", &x, "decoder:normed");
        let x = self.slice(&x, 1, 1 + patches, "decoder:patches");
        self.linear("decoder.decoder_pred", &x, "logits");
    }
}
