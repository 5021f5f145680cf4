//! What a model does inside with one picture: attention, and how alike its features are.

use std::collections::HashMap;
use std::sync::Arc;

use super::TrainError;
use crate::eval::{align, principal_components};
use crate::gpu::{BufferSlice, Gpu, Uploads};
use crate::graph::{Externals, Plan, TensorType, Var};
use crate::mae::{self, MaeConfig};
use crate::nn::{Builder, ParamStore};
use crate::ops;

/// Most filters that are shown.
const MOST_FILTERS: usize = 256;
/// The weight whose rows are the filters.
const FILTERS: &str = "vit.embeddings.patch_embeddings.projection.weight";

/// What to look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Encoder block, from 0.
    pub layer: usize,
    /// The token that looks: 0 is the class token, patches follow in raster order.
    pub token: usize,
}

/// What there is to see, of `L` patches in raster order after the class token.
#[derive(Clone, Debug, PartialEq)]
pub struct Looked {
    /// What was asked for.
    pub look: Look,
    /// Patches along a side of the picture.
    pub grid: usize,
    /// How much the token looks at each token, by head `[heads][1 + L]`; each adds up to 1.
    pub attention: Vec<Vec<f32>>,
    /// The mean of `attention` over heads `[1 + L]`.
    pub mean_attention: Vec<f32>,
    /// Cosine of the token's feature after the block with that of each token `[1 + L]`.
    pub features: Vec<f32>,
    /// Cosine of the token's position with each position `[1 + L]`; zeros for the class token, which has none.
    pub positions: Vec<f32>,
    /// First three principal components of the patches' features after the block, each 0 to 1 `[3][L]`.
    pub components: Arc<Vec<Vec<f32>>>,
    /// The patch embedding's filters.
    pub filters: Arc<Filters>,
}

/// Filters of the patch embedding as small pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filters {
    /// Side of a filter, pixels.
    pub patch: usize,
    /// RGB pixels of each of the first ones, rows first, stretched to the full range.
    pub pixels: Vec<Vec<u8>>,
    /// How many there are.
    pub count: usize,
}

/// The plan that looks at one block.
#[derive(Debug)]
struct View {
    plan: Plan,
    /// Attention row, feature cosines, position cosines.
    results: [BufferSlice; 3],
}

/// The encoder with every patch of one picture visible.
#[derive(Debug)]
pub struct Inspector {
    gpu: Arc<Gpu>,
    config: MaeConfig,
    inputs: Externals,
    encode: Plan,
    /// Queries, keys and values, log-sum-exps and output of each block.
    blocks: Vec<[BufferSlice; 3]>,
    views: HashMap<usize, View>,
    components: HashMap<usize, Arc<Vec<Vec<f32>>>>,
    /// Those of before.
    former: HashMap<usize, Arc<Vec<Vec<f32>>>>,
    filters: Arc<Filters>,
    encoded: bool,
}

impl Inspector {
    /// Over parameters on the device.
    ///
    /// # Errors
    /// Those of planning, such as a device without enough memory.
    pub async fn new(gpu: Arc<Gpu>, config: &MaeConfig, store: &ParamStore) -> Result<Inspector, TrainError> {
        let config = MaeConfig { mask_ratio: 0.0, encoder_sees_masks: false, ..config.clone() };
        let (side, patches) = (config.image_size, config.patches());
        let mut inputs = store.externals();
        let mut b = Builder::new();
        let image = b.graph.external("image", TensorType::f32(&[1, 3, side, side]));
        let noise = b.graph.external("noise", TensorType::f32(&[1, patches]));
        let masks = mae::given_masks(&mut b.graph, &config, noise)?;
        let encoder = mae::encoder(&mut b, &config, image, masks)?;
        let roots: Vec<Var> = encoder.blocks.iter().flat_map(|block| [block.qkv, block.lse, block.out]).collect();
        let encode = Plan::build(&gpu, &b.graph, &roots, &mut inputs).await?;
        gpu.upload(inputs.need("noise")?, &mae::raster_noise(1, patches));
        inputs.insert("query", gpu.buffer("query", 4).await?);
        let mut blocks = Vec::with_capacity(config.depth);
        for block in &encoder.blocks {
            blocks.push([encode.need(block.qkv)?, encode.need(block.lse)?, encode.need(block.out)?].map(Clone::clone));
        }
        Ok(Inspector {
            gpu,
            config,
            inputs,
            encode,
            blocks,
            views: HashMap::new(),
            components: HashMap::new(),
            former: HashMap::new(),
            filters: Arc::default(),
            encoded: false,
        })
    }

    /// Encodes `image [1, 3, S, S]`, normalised pixels, with the weights as they are now.
    ///
    /// # Errors
    /// The device's.
    pub async fn encode(&mut self, image: &BufferSlice) -> Result<(), TrainError> {
        self.gpu.copy(image, self.inputs.need("image")?);
        self.encode.run(&self.gpu);
        self.former.extend(self.components.drain());
        self.filters = Arc::new(self.read_filters().await?);
        self.encoded = true;
        Ok(())
    }

    /// Looks at the picture encoded last; layers and tokens beyond the last stand for the last.
    ///
    /// # Errors
    /// [`TrainError::NoPictures`] where none was encoded, and the device's own.
    pub async fn look(&mut self, look: Look) -> Result<Looked, TrainError> {
        if !self.encoded {
            return Err(TrainError::NoPictures("there is none to look into yet".to_owned()));
        }
        let tokens = 1 + self.config.patches();
        let look = Look { layer: look.layer.min(self.blocks.len() - 1), token: look.token.min(tokens - 1) };
        if !self.views.contains_key(&look.layer) {
            let view = self.view(look.layer).await?;
            self.views.insert(look.layer, view);
        }
        self.gpu.upload(self.inputs.need("query")?, &[look.token as u32]);
        let view = &self.views[&look.layer];
        view.plan.run(&self.gpu);
        let read = self.gpu.read("a look inside", &view.results).await?;
        let rows: Vec<Vec<f32>> = read.iter().map(|bytes| bytemuck::pod_collect_to_vec(bytes)).collect();
        let attention: Vec<Vec<f32>> = rows[0].chunks(tokens).map(<[f32]>::to_vec).collect();
        let mean = |token: usize| attention.iter().map(|head| head[token]).sum::<f32>() / attention.len() as f32;
        Ok(Looked {
            look,
            grid: self.config.grid(),
            mean_attention: (0..tokens).map(mean).collect(),
            attention,
            features: rows[1].clone(),
            positions: rows[2].clone(),
            components: self.components(look.layer).await?,
            filters: self.filters.clone(),
        })
    }

    async fn view(&self, layer: usize) -> Result<View, TrainError> {
        let (tokens, width) = (1 + self.config.patches(), self.config.width);
        let heads = self.config.heads;
        let mut b = Builder::new();
        let qkv = b.graph.external("qkv", TensorType::f32(&[1, tokens, 3 * width]));
        let lse = b.graph.external("lse", TensorType::f32(&[1, heads, tokens]));
        let features = b.graph.external("features", TensorType::f32(&[1, tokens, width]));
        let query = b.graph.external("query", TensorType::u32(&[1]));
        let name = "vit.embeddings.position_embeddings";
        let table = b.graph.external(name, TensorType::f32(&[1, tokens, width]));
        let roots = [
            ops::attention_row(&mut b.graph, qkv, lse, query, heads)?,
            ops::cosine_row(&mut b.graph, features, query)?,
            ops::cosine_row(&mut b.graph, table, query)?,
        ];
        let mut inputs = self.inputs.clone();
        for (name, slice) in ["qkv", "lse", "features"].into_iter().zip(&self.blocks[layer]) {
            inputs.insert(name, slice.clone());
        }
        let plan = Plan::build(&self.gpu, &b.graph, &roots, &mut inputs).await?;
        let results = [plan.need(roots[0])?, plan.need(roots[1])?, plan.need(roots[2])?].map(Clone::clone);
        Ok(View { plan, results })
    }

    async fn components(&mut self, layer: usize) -> Result<Arc<Vec<Vec<f32>>>, TrainError> {
        if let Some(components) = self.components.get(&layer) {
            return Ok(components.clone());
        }
        let features: Vec<f32> = self.gpu.read_one("features", &self.blocks[layer][2]).await?;
        let width = self.config.width;
        // The class token is no part of the picture.
        let mut components = principal_components(&features[width..], width, 3);
        if let Some(former) = self.former.get(&layer) {
            align(&mut components, former);
        }
        let components = Arc::new(components);
        self.components.insert(layer, components.clone());
        Ok(components)
    }

    async fn read_filters(&self) -> Result<Filters, TrainError> {
        let (patch, length) = (self.config.patch_size, self.config.patch_len());
        let shown = self.config.width.min(MOST_FILTERS);
        let weight = self.inputs.need(FILTERS)?.part(0, (shown * length * 4) as u64);
        let values: Vec<f32> = self.gpu.read_one("filters", &weight).await?;
        let pixels = values.chunks(length).map(|filter| {
            let most = filter.iter().fold(1e-12f32, |most, x| most.max(x.abs()));
            let area = patch * patch;
            // Zero is mid grey in all of them.
            let byte = |x: f32| ((x / most * 0.5 + 0.5) * 255.0).round() as u8;
            (0..area).flat_map(|at| [0, 1, 2].map(|channel| byte(filter[channel * area + at]))).collect()
        });
        Ok(Filters { patch, pixels: pixels.collect(), count: self.config.width })
    }
}
