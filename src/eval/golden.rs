//! Golden cases: a model's weights and inputs with what a reference computes from them, run on this adapter.
//!
//! A case is a safetensors file; `tests/golden/README.md` lists its tensors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::gpu::{BufferSlice, DispatchList, Gpu, GpuError, Uploads};
use crate::graph::{Caps, GraphError, Layout, Plan, TensorType, Var};
use crate::mae::{self, MaeConfig, MaeError, MaeVars};
use crate::nn::{Builder, ParamStore, State};
use crate::ops::{AdamW, MaskStrategy, global_norm_partials, push_global_norm};
use crate::weights::{TensorSource, Tensors, WeightsError};

/// What can keep a case from running.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// The file.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The model.
    #[error(transparent)]
    Model(#[from] MaeError),
    /// The engine.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The device.
    #[error(transparent)]
    Gpu(#[from] GpuError),
}

/// The `config` of a case, as the reference's package names its fields.
#[derive(Debug, Deserialize)]
struct CaseConfig {
    image_size: usize,
    patch_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    decoder_hidden_size: usize,
    decoder_num_hidden_layers: usize,
    decoder_num_attention_heads: usize,
    decoder_intermediate_size: usize,
    mask_ratio: f64,
    norm_pix_loss: bool,
}

/// The `optimizer` of a case.
#[derive(Debug, Deserialize)]
struct CaseOptimiser {
    lr: f64,
    betas: (f32, f32),
    weight_decay: f32,
    eps: f32,
}

/// A scalar and what it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Compared {
    /// Computed here.
    pub got: f64,
    /// The reference's.
    pub want: f64,
    /// Relative difference.
    pub rel: f64,
}

/// How a case went; `pass` judges by the tolerances for f32.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CaseReport {
    /// File or name of the case.
    pub case: String,
    /// Adapter it ran on.
    pub adapter: String,
    /// Loss of the first forward pass.
    pub loss: Compared,
    /// Largest difference of a predicted number.
    pub pred_max_abs: f64,
    /// Largest difference of an encoder output.
    pub latent_max_abs: f64,
    /// Whether the masks are the reference's.
    pub mask_equal: bool,
    /// Whether the shuffles are the reference's.
    pub ids_restore_equal: bool,
    /// Relative L2 difference of each gradient.
    pub grad: BTreeMap<String, f64>,
    /// Loss before each optimiser step: got, want.
    pub train_losses: Vec<(f64, f64)>,
    /// Relative L2 difference of each weight after the steps.
    pub after: BTreeMap<String, f64>,
    /// Everything within tolerance.
    pub pass: bool,
    /// What was out of tolerance.
    pub failures: Vec<String>,
}

/// Loss, relative.
const LOSS: f64 = 1e-5;
/// Predictions and latents, absolute.
const ACTIVATION: f64 = 1e-4;
/// Gradients and trained weights, relative L2.
const TENSOR: f64 = 1e-3;
/// What a gradient may miss of the norm of all gradients.
const GRADIENT_FLOOR: f64 = 1e-6;

/// Whether an error is tolerable; one that is no number is not.
fn within(error: f64, tolerance: f64) -> bool {
    error <= tolerance
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt()
}

fn distance(got: &[f32], want: &[f32]) -> f64 {
    got.iter().zip(want).map(|(g, w)| (f64::from(*g) - f64::from(*w)).powi(2)).sum::<f64>().sqrt()
}

fn max_abs(got: &[f32], want: &[f32]) -> f64 {
    let differences = got.iter().zip(want).map(|(g, w)| (f64::from(*g) - f64::from(*w)).abs());
    differences.fold(0.0, |most, d| if d.is_nan() { f64::INFINITY } else { most.max(d) })
}

fn parse<T: serde::de::DeserializeOwned>(case: &Tensors, key: &str) -> Result<T, WeightsError> {
    serde_json::from_str(case.text(key)?).map_err(|error| case.bad_metadata(key, &error))
}

fn config_of(case: &Tensors) -> Result<MaeConfig, GoldenError> {
    let c: CaseConfig = parse(case, "config")?;
    let config = MaeConfig {
        image_size: c.image_size,
        patch_size: c.patch_size,
        width: c.hidden_size,
        depth: c.num_hidden_layers,
        heads: c.num_attention_heads,
        mlp: c.intermediate_size,
        decoder_width: c.decoder_hidden_size,
        decoder_depth: c.decoder_num_hidden_layers,
        decoder_heads: c.decoder_num_attention_heads,
        decoder_mlp: c.decoder_intermediate_size,
        mask_ratio: c.mask_ratio,
        mask_strategy: MaskStrategy::Random,
        norm_pix_loss: c.norm_pix_loss,
        layer_norm_eps: parse(case, "layer_norm_eps")?,
        encoder_sees_masks: false,
        // The cases' pictures are normalised already.
        ..crate::mae::preset("base")?
    };
    config.check()?;
    Ok(config)
}

/// A case's model, ready to run.
struct CaseModel {
    store: ParamStore,
    plan: Plan,
    vars: MaeVars,
    loss: Var,
    noise: BufferSlice,
    schedule: BufferSlice,
    update: DispatchList,
}

async fn build(
    gpu: &Gpu,
    case: &Tensors,
    config: &MaeConfig,
    batch: usize,
    adamw: AdamW,
) -> Result<CaseModel, GoldenError> {
    let mut b = Builder::new();
    let side = config.image_size;
    let image = b.graph.external("image", TensorType::f32(&[batch, 3, side, side]));
    let noise = b.graph.external("noise", TensorType::f32(&[batch, config.patches()]));
    let seed = b.graph.external("seed", TensorType::f32(&[1]));
    let masks = mae::given_masks(&mut b.graph, config, noise)?;
    let vars = mae::autoencoder(&mut b, config, image, masks)?;
    // Training computes its loss of hidden patches alone.
    let loss = mae::hidden_loss(&mut b, config, image, vars.latent, masks)?;
    b.store_gradients(loss, seed)?;
    let store = ParamStore::new(gpu, b.params(), true).await?;
    let mut externals = store.externals();
    externals.allocate(gpu, &b.graph).await?;
    let roots = [vars.loss, vars.pred, vars.latent, vars.masks.mask, vars.masks.ids_restore, loss];
    let layout = Layout::of(&b.graph, &roots, Caps::of(gpu))?;
    let plan = Plan::new(gpu, &b.graph, &layout, &roots, &externals).await?;

    gpu.upload(externals.need("image")?, &case.get("input/pixel_values", &[batch, 3, side, side])?.data);
    gpu.upload(externals.need("seed")?, &[1f32]);
    let schedule = gpu.buffer("schedule", 16).await?;
    let norm = gpu.buffer("norm", 16).await?;
    let partials = gpu.buffer("partials", global_norm_partials(store.shard_lengths()) as u64 * 4).await?;
    let mut update = DispatchList::default();
    let shards = store.optimiser_shards();
    let gradients: Vec<BufferSlice> = shards.iter().map(|shard| shard.gradients.clone()).collect();
    push_global_norm(gpu, &mut update, &gradients, &partials, &norm, 0.0, None)?;
    for shard in &shards {
        adamw.push(gpu, &mut update, shard, &schedule, &norm)?;
    }
    Ok(CaseModel { store, plan, vars, loss, noise: externals.need("noise")?.clone(), schedule, update })
}

/// Runs `case`: forward, backward, then AdamW steps, each compared with the reference.
///
/// # Errors
/// A case that is no case; numbers out of tolerance are no error but a report that does not pass.
pub async fn run_case(gpu: &Gpu, case: &Tensors) -> Result<CaseReport, GoldenError> {
    let config = config_of(case)?;
    let optimiser: CaseOptimiser = parse(case, "optimizer")?;
    let steps: usize = parse(case, "steps")?;
    let pixels = case.tensors.get("input/pixel_values").map_or(0, |tensor| tensor.shape.first().copied().unwrap_or(0));
    let batch = pixels.max(1);
    let patches = config.patches();
    let noise = &case.get("input/noise", &[steps + 1, batch, patches])?.data;
    let adamw = AdamW {
        beta1: optimiser.betas.0,
        beta2: optimiser.betas.1,
        eps: optimiser.eps,
        weight_decay: optimiser.weight_decay,
    };
    let model = build(gpu, case, &config, batch, adamw).await?;
    let CaseModel { store, plan, vars, .. } = &model;
    let mut report = CaseReport { case: case.path.clone(), adapter: gpu.name().to_owned(), ..CaseReport::default() };

    store.load(gpu, State::Weights, &case.under("param/"))?;
    gpu.upload(&model.noise, &noise[..batch * patches]);
    plan.run(gpu);
    let roots = [vars.loss, vars.pred, vars.latent, vars.masks.mask, vars.masks.ids_restore, model.loss];
    let slices: Vec<BufferSlice> = roots.iter().filter_map(|var| plan.slice(*var).cloned()).collect();
    let read = gpu.read("outputs", &slices).await?;
    let floats = |index: usize| -> Vec<f32> { bytemuck::pod_collect_to_vec(&read[index]) };
    let want_loss = f64::from(case.get("expect/loss", &[1])?.data[0]);
    report.loss = compared(f64::from(floats(0)[0]), want_loss);
    let trained = compared(f64::from(floats(5)[0]), want_loss);
    if !within(trained.rel, LOSS) {
        report.failures.push(format!("loss of hidden patches alone: got {}, want {}", trained.got, trained.want));
    }
    let (latent, visible) = (config.width, config.visible());
    report.pred_max_abs = max_abs(&floats(1), &case.get("expect/pred", &[batch, patches, config.patch_len()])?.data);
    report.latent_max_abs = max_abs(&floats(2), &case.get("expect/latent", &[batch, 1 + visible, latent])?.data);
    report.mask_equal = floats(3) == case.get("expect/mask", &[batch, patches])?.data;
    let restore: Vec<u32> = bytemuck::pod_collect_to_vec(&read[4]);
    let want = &case.get("expect/ids_restore", &[batch, patches])?.data;
    report.ids_restore_equal = restore.iter().map(|id| *id as f32).eq(want.iter().copied());
    compare_gradients(&mut report, &store.save(gpu, State::Gradients).await?, &case.under("grad/"))?;

    let want_losses = &case.get("expect/train_losses", &[steps])?.data;
    for step in 0..steps {
        gpu.upload(&model.noise, &noise[(step + 1) * batch * patches..(step + 2) * batch * patches]);
        gpu.upload(&model.schedule, &adamw.schedule(optimiser.lr, step as u64 + 1));
        plan.run(gpu);
        model.update.run(gpu);
        let loss: Vec<f32> = gpu.read_one("loss", &slices[5]).await?;
        report.train_losses.push((f64::from(loss[0]), f64::from(want_losses[step])));
    }
    compare_weights(&mut report, &store.save(gpu, State::Weights).await?, &case.under("after/"))?;
    judge(&mut report);
    Ok(report)
}

fn compared(got: f64, want: f64) -> Compared {
    Compared { got, want, rel: (got - want).abs() / want.abs().max(f64::MIN_POSITIVE) }
}

fn compare_gradients(report: &mut CaseReport, got: &Tensors, want: &Tensors) -> Result<(), WeightsError> {
    let all = want.tensors.values().map(|tensor| norm(&tensor.data).powi(2)).sum::<f64>().sqrt();
    for (name, tensor) in &want.tensors {
        let found = got.get(name, &tensor.shape)?;
        let (error, size) = (distance(&found.data, &tensor.data), norm(&tensor.data));
        report.grad.insert(name.clone(), error / size.max(f64::MIN_POSITIVE));
        if !within(error, TENSOR * size + GRADIENT_FLOOR * all) {
            report.failures.push(format!("gradient of {name}: relative error {:.2e}", error / size));
        }
    }
    Ok(())
}

fn compare_weights(report: &mut CaseReport, got: &Tensors, want: &Tensors) -> Result<(), WeightsError> {
    for (name, tensor) in &want.tensors {
        let found = got.get(name, &tensor.shape)?;
        let error = distance(&found.data, &tensor.data) / norm(&tensor.data).max(f64::MIN_POSITIVE);
        report.after.insert(name.clone(), error);
        // Softmax ignores the key bias: its gradient is rounding noise, which AdamW turns into steps.
        if !name.ends_with("k_proj.bias") && !within(error, TENSOR) {
            report.failures.push(format!("{name} after training: relative error {error:.2e}"));
        }
    }
    Ok(())
}

fn judge(report: &mut CaseReport) {
    let mut fail = |failed: bool, text: String| {
        if failed {
            report.failures.push(text);
        }
    };
    fail(!within(report.loss.rel, LOSS), format!("loss: got {}, want {}", report.loss.got, report.loss.want));
    fail(!within(report.pred_max_abs, ACTIVATION), format!("pred: off by {:.2e}", report.pred_max_abs));
    fail(!within(report.latent_max_abs, ACTIVATION), format!("latent: off by {:.2e}", report.latent_max_abs));
    fail(!report.mask_equal, "mask differs".to_owned());
    fail(!report.ids_restore_equal, "ids_restore differs".to_owned());
    for (step, (got, want)) in report.train_losses.iter().enumerate() {
        fail(
            !within((got - want).abs(), 1e-4 * want.abs()),
            format!("loss of step {}: got {got}, want {want}", step + 1),
        );
    }
    report.pass = report.failures.is_empty();
}
