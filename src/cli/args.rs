//! The arguments of every command.

use std::num::{IntErrorKind, ParseIntError};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::bench_args::BenchArgs;
use super::model_args::{HintArgs, ModelArgs};
use super::probe_args::{EmbedArgs, ProbeArgs};
use crate::gpu::{AdapterRequest, GpuOptions};
use crate::ops::MaskStrategy;
use crate::train::{Augment, Precision, Recipe, TrainError};

/// Masked autoencoders that train and run on any GPU.
///
/// A masked autoencoder learns from pictures alone: three quarters of each picture are hidden, and the model learns to
/// paint them back. Without a command the app opens; where there is no display, a small model is trained for a minute
/// on the built-in photographs.
#[derive(Debug, Parser)]
#[command(name = "unmask", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options of every command.
#[derive(Clone, Debug, Default, Args)]
pub struct Common {
    /// Print machine-readable JSON on stdout: one object, or one a line for streams
    #[arg(long, global = true)]
    pub json: bool,
    /// Use the adapter whose name contains TEXT; `unmask info` lists them
    #[arg(long, global = true, value_name = "TEXT")]
    pub adapter: Option<String>,
    /// No progress bars and no warnings
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

impl Common {
    /// The wanted adapter.
    pub fn request(&self) -> AdapterRequest {
        AdapterRequest { name: self.adapter.clone() }
    }

    /// How to open it.
    pub fn gpu_options(&self) -> GpuOptions {
        GpuOptions { adapter: self.request(), ..GpuOptions::default() }
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train the micro model for a minute on the built-in photographs, with pictures before and after
    Demo(DemoArgs),
    /// Train a model on a folder of pictures, or continue a run
    ///
    /// What is not given is as in the model's recipe: `unmask recipe micro` shows every setting and its default.
    Train(Box<TrainArgs>),
    /// Find a learning rate: train at rising rates until the loss explodes, and write nothing
    ///
    /// Settings are those of `train`; those of its schedule, of checkpoints and of measurements are refused.
    FindLr(Box<FindLrArgs>),
    /// Hide patches of pictures and let a trained model paint them back
    ///
    /// The mean square error over hidden patches is of normalised pixels, divided by the model's pixel_std; in parentheses
    /// stands what two guesses without a model reach, lower being better. PSNR is of pixels between 0 and 1.
    Reconstruct(ReconstructArgs),
    /// Write the encoder's features of pictures as a NumPy array
    Embed(EmbedArgs),
    /// Measure how well the encoder's features separate classes of pictures, compared with an untrained encoder
    ///
    /// The encoder is frozen. Two methods: votes of the most similar pictures, and a linear classifier.
    Probe(ProbeArgs),
    /// Convert weights between layouts: the original code's, Hugging Face's, timm's, this program's
    Convert(ConvertArgs),
    /// Print a recipe with every setting explained, to be changed and given to `train --model`
    Recipe {
        /// A recipe or preset [default: lists them]
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// Look at a data set: sizes, formats, broken and duplicate pictures, mean and deviation
    Data(DataArgs),
    /// List runs and compare their losses
    Runs(RunsArgs),
    /// Write the weights of a run alone, without optimiser state
    Export(ExportArgs),
    /// Check this adapter: every kernel against f64, golden cases against a reference
    Selftest(SelftestArgs),
    /// Show adapters, features and limits, and what the engine uses of them
    Info,
    /// Measure training speed and memory
    Bench(BenchArgs),
    /// Print completions for a shell, for example `unmask completions bash`
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// A number above 0.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err("expected a number above 0".to_owned()),
    }
}

/// A whole number from `LEAST` on.
pub(super) fn whole<N, const LEAST: u8>(text: &str) -> Result<N, String>
where
    N: FromStr<Err = ParseIntError> + PartialOrd + From<u8>,
{
    match text.parse::<N>() {
        Ok(number) if number >= N::from(LEAST) => Ok(number),
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => Err(error.to_string()),
        _ => Err(format!("expected a whole number of at least {LEAST}")),
    }
}

#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// How long to train
    #[arg(long, default_value_t = 60.0, value_parser = positive, value_name = "SECONDS")]
    pub seconds: f64,
    /// Folder for the pictures and the run
    #[arg(long, default_value = "runs/demo", value_name = "DIR")]
    pub out: PathBuf,
}

impl Default for DemoArgs {
    fn default() -> Self {
        DemoArgs { seconds: 60.0, out: PathBuf::from("runs/demo") }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Strategy {
    /// Patch by patch
    Random,
    /// Large rectangles
    Block,
    /// All but one of every 2 x 2
    Grid,
}

impl From<Strategy> for MaskStrategy {
    fn from(strategy: Strategy) -> Self {
        match strategy {
            Strategy::Random => MaskStrategy::Random,
            Strategy::Block => MaskStrategy::Block,
            Strategy::Grid => MaskStrategy::Grid,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum PrecisionArg {
    /// 32-bit floats
    F32,
    /// 16-bit floats for activations and the inputs of matrix products, 32-bit ones elsewhere
    Mixed,
}

impl From<PrecisionArg> for Precision {
    fn from(arg: PrecisionArg) -> Self {
        match arg {
            PrecisionArg::F32 => Precision::F32,
            PrecisionArg::Mixed => Precision::Mixed,
        }
    }
}

#[derive(Clone, Debug, Args)]
#[command(allow_negative_numbers = true)]
pub struct TrainArgs {
    /// `sample` for the built-in photographs, a folder of pictures (searched recursively) or of archives, pictures, a .txt
    /// that lists some, or a tar, tar.gz, zip, IDX, NumPy or Parquet file; may be several, as by data/train-*.parquet, and
    /// given several times [default: sample]
    #[arg(long, num_args = 1.., value_name = "DIR|FILE|sample")]
    pub data: Vec<String>,
    /// The same, held out whole: never trained on, and measured instead of a tenth of --data. For pictures of which others
    /// are all but copies, such as frames of a film, or parts of one slide
    #[arg(long, num_args = 1.., value_name = "DIR|FILE")]
    pub held_out: Vec<String>,
    /// micro, mini, tiny, small, base, large, huge, the name of a recipe (see `unmask recipe`), or a file ending in .toml
    /// [default: micro]
    #[arg(long, value_name = "PRESET|FILE")]
    pub model: Option<String>,
    /// Optimiser steps in all
    #[arg(long, value_name = "N", value_parser = whole::<u64, 1>, conflicts_with = "epochs")]
    pub steps: Option<u64>,
    /// Passes over the pictures, instead of steps; warm-up takes the same share of them as in the recipe, unless
    /// --warmup-steps is given
    #[arg(long, value_name = "N", value_parser = whole::<u64, 1>)]
    pub epochs: Option<u64>,
    /// Pictures per micro-batch
    #[arg(long, value_name = "B", value_parser = whole::<usize, 0>)]
    pub batch: Option<usize>,
    /// Micro-batches per step; the effective batch is B x K
    #[arg(long, value_name = "K", value_parser = whole::<usize, 0>)]
    pub accumulate: Option<usize>,
    /// Share of hidden patches, more than 0 and less than 1
    #[arg(long, value_name = "R")]
    pub mask_ratio: Option<f64>,
    /// How hidden patches are chosen
    #[arg(long)]
    pub mask_strategy: Option<Strategy>,
    /// Normalise targets patch by patch
    #[arg(long)]
    pub norm_pix_loss: bool,
    /// Put mask tokens through the encoder, the paper's costly variant
    #[arg(long)]
    pub encoder_sees_masks: bool,
    /// Base learning rate; the rate is this times effective batch / 256
    #[arg(long, value_name = "RATE")]
    pub blr: Option<f64>,
    /// Learning rate at the end of the cosine
    #[arg(long, value_name = "RATE")]
    pub min_lr: Option<f64>,
    /// Steps of linear warm-up
    #[arg(long, value_name = "N", value_parser = whole::<u64, 0>)]
    pub warmup_steps: Option<u64>,
    /// Decoupled weight decay
    #[arg(long, value_name = "W")]
    pub weight_decay: Option<f32>,
    /// Clip the norm of all gradients to this; 0 clips nothing
    #[arg(long, value_name = "NORM")]
    pub clip_grad: Option<f32>,
    /// Keep an average of the weights with this decay, such as 0.999, for `unmask export --ema`; 0 keeps none
    #[arg(long, value_name = "D")]
    pub ema_decay: Option<f32>,
    /// End the run after this many measurements on held-out pictures without a new best; 0 for never
    #[arg(long, value_name = "N", value_parser = whole::<u64, 0>)]
    pub early_stop: Option<u64>,
    /// Compute the inside of each block again for its gradients: the same result, slower, with far less memory
    #[arg(long)]
    pub recompute: bool,
    /// Seed of weights, order, crops and masks
    #[arg(long, value_name = "S", value_parser = whole::<u64, 0>)]
    pub seed: Option<u64>,
    /// Use the largest centred square of each picture instead of random crops
    #[arg(long)]
    pub no_augment: bool,
    /// Mean of pixels between 0 and 1 that is subtracted, by channel [default: ImageNet's]
    #[arg(long, value_name = "R,G,B", value_delimiter = ',', num_args = 1)]
    pub mean: Option<Vec<f64>>,
    /// Deviation of pixels that they are divided by, by channel [default: ImageNet's]
    #[arg(long, value_name = "R,G,B", value_delimiter = ',', num_args = 1)]
    pub std: Option<Vec<f64>>,
    /// Compute --mean and --std from the pictures
    #[arg(long, conflicts_with_all = ["mean", "std"])]
    pub data_stats: bool,
    /// Share of the pictures that may be unreadable before training fails; the first 16 do not count where most can be
    /// read, and with 0 every one does
    #[arg(long, value_name = "SHARE")]
    pub max_unreadable: Option<f64>,
    /// Number formats
    #[arg(long)]
    pub precision: Option<PrecisionArg>,
    /// Folder for checkpoints, metrics and previews [default: runs/MODEL-SEED]
    #[arg(long, value_name = "RUN")]
    pub out: Option<PathBuf>,
    /// Continue the run in --out, with its own settings except those you override: data, what is held out, more steps or epochs, mask
    /// ratio, rates, warm-up, weight decay, clipping, --recompute, --early-stop, --keep, --pixel-budget,
    /// --max-unreadable, and how often it measures and saves; any other change is refused
    #[arg(long)]
    pub resume: bool,
    /// Start from these weights instead of random ones: a file, a folder, or hub:OWNER/NAME
    #[arg(long, value_name = "WEIGHTS", conflicts_with = "resume")]
    pub init: Option<PathBuf>,
    /// Steps between measurements on held-out pictures
    #[arg(long, value_name = "N", value_parser = whole::<u64, 0>)]
    pub eval_every: Option<u64>,
    /// Steps between checkpoints, or half an hour where they take longer; 0 for one at the end alone
    #[arg(long, value_name = "N", value_parser = whole::<u64, 0>)]
    pub checkpoint_every: Option<u64>,
    /// Steps between preview pictures; 0 for start and end alone
    #[arg(long, value_name = "N", value_parser = whole::<u64, 0>)]
    pub preview_every: Option<u64>,
    /// Checkpoints kept
    #[arg(long, value_name = "K", value_parser = whole::<usize, 0>)]
    pub keep: Option<usize>,
    /// MiB of GPU memory for pixels; data that needs more is streamed
    #[arg(long, value_name = "MIB", value_parser = whole::<u64, 0>)]
    pub pixel_budget: Option<u64>,
    /// Save and stop after this many steps, not counting those of a resumed run so far; --resume continues
    #[arg(long, value_name = "N", value_parser = whole::<u64, 0>)]
    pub stop_after: Option<u64>,
}

impl TrainArgs {
    /// The recipe of `--model` with every option that was given.
    pub fn recipe(&self) -> Result<Recipe, TrainError> {
        let mut recipe = Recipe::load(self.model.as_deref().unwrap_or("micro"))?;
        self.apply(&mut recipe)?;
        Ok(recipe)
    }

    /// Gives `recipe` every option that was given.
    pub fn apply(&self, recipe: &mut Recipe) -> Result<(), TrainError> {
        fn set<T>(target: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *target = value;
            }
        }
        let (m, t) = (&mut recipe.model, &mut recipe.train);
        set(&mut m.mask_ratio, self.mask_ratio);
        set(&mut m.mask_strategy, self.mask_strategy.map(MaskStrategy::from));
        m.norm_pix_loss |= self.norm_pix_loss;
        m.encoder_sees_masks |= self.encoder_sees_masks;
        set(&mut t.data, (!self.data.is_empty()).then(|| self.data.clone()));
        set(&mut t.held_out, (!self.held_out.is_empty()).then(|| self.held_out.clone()));
        set(&mut t.steps, self.steps);
        set(&mut t.batch, self.batch);
        set(&mut t.accumulate, self.accumulate);
        set(&mut t.blr, self.blr);
        set(&mut t.min_lr, self.min_lr);
        set(&mut t.warmup_steps, self.warmup_steps);
        set(&mut t.weight_decay, self.weight_decay);
        set(&mut t.clip_grad, self.clip_grad);
        set(&mut t.ema_decay, self.ema_decay);
        set(&mut t.early_stop, self.early_stop);
        set(&mut t.precision, self.precision.map(Precision::from));
        t.recompute |= self.recompute;
        set(&mut t.seed, self.seed);
        set(&mut t.eval_every, self.eval_every);
        set(&mut t.checkpoint_every, self.checkpoint_every);
        set(&mut t.preview_every, self.preview_every);
        set(&mut t.keep, self.keep);
        set(&mut t.pixel_budget, self.pixel_budget);
        set(&mut t.max_unreadable, self.max_unreadable);
        for (field, values, target) in
            [("--mean", &self.mean, &mut m.pixel_mean), ("--std", &self.std, &mut m.pixel_std)]
        {
            if let Some(values) = values {
                *target = values.as_slice().try_into().map_err(|_| TrainError::Setting {
                    field,
                    value: format!("{values:?}"),
                    expected: "expected three numbers, for red, green and blue".to_owned(),
                })?;
            }
        }
        if self.no_augment {
            t.augment = Augment::CentreCrop;
        }
        Ok(())
    }
}

#[derive(Clone, Debug, Args)]
#[command(allow_negative_numbers = true)]
pub struct FindLrArgs {
    #[command(flatten)]
    pub train: TrainArgs,
    /// Lowest base learning rate
    #[arg(long, default_value_t = 1e-5, value_name = "RATE")]
    pub from: f64,
    /// Highest base learning rate
    #[arg(long, default_value_t = 1.0, value_name = "RATE")]
    pub to: f64,
    /// Steps of the test
    #[arg(long, default_value_t = 100, value_parser = whole::<usize, 0>, value_name = "N")]
    pub tries: usize,
}

#[derive(Clone, Debug, Args)]
#[command(allow_negative_numbers = true)]
pub struct ReconstructArgs {
    /// Pictures: files, or folders searched recursively
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<String>,
    #[command(flatten)]
    pub model: ModelArgs,
    /// Share of hidden patches, 0 to under 1
    #[arg(long, default_value_t = 0.75, value_name = "R")]
    pub mask_ratio: f64,
    /// Seed of the mask
    #[arg(long, default_value_t = 0, value_parser = whole::<u32, 0>, value_name = "S")]
    pub seed: u32,
    /// Patches that stay visible, by raster index, for example 0,5,9
    #[arg(long, value_delimiter = ',', value_name = "I,J,…", conflicts_with_all = ["mask", "mask_ratio", "seed"])]
    pub keep: Option<Vec<usize>>,
    /// A picture of the mask: patches that are dark in it are hidden
    #[arg(long, value_name = "MASK.png", conflicts_with_all = ["mask_ratio", "seed"])]
    pub mask: Option<PathBuf>,
    /// Where to write the strips: a .png, .webp or .tiff for one picture, or a folder, in which they are called
    /// NAME-reconstruction.png, those of several pictures with a number before [default: reconstruction.png, of several
    /// pictures the folder reconstructions]
    #[arg(long, value_name = "OUT.png|DIR")]
    pub out: Option<PathBuf>,
    /// Also write input, mask and prediction as tensors
    #[arg(long, value_name = "OUT.safetensors")]
    pub pixels: Option<PathBuf>,
}

/// Layouts that can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum To {
    /// This program's own: one safetensors file
    Native,
    /// A folder for Hugging Face's transformers: model.safetensors, config.json, preprocessor_config.json
    Hf,
    /// The original code's checkpoint, for torch.load: one .pth file
    Original,
    /// timm's encoder: one safetensors file
    Timm,
    /// The encoder for other programs to run: one .onnx file
    Onnx,
}

#[derive(Clone, Debug, Args)]
pub struct ConvertArgs {
    /// A .safetensors, .pth or .bin file, an index of several, a folder that holds one of these, or hub:OWNER/NAME
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// Where to write: a folder for hf, a file for the others
    #[arg(value_name = "OUT")]
    pub out: PathBuf,
    /// Layout of OUT
    #[arg(long)]
    pub to: To,
    /// With --to onnx: the whole model, with noise as an input that tells which patches are hidden
    #[arg(long)]
    pub whole: bool,
    /// Store 16-bit floats, half the size; not for onnx
    #[arg(long)]
    pub f16: bool,
    #[command(flatten)]
    pub hints: HintArgs,
}

#[derive(Clone, Debug, Args)]
pub struct DataArgs {
    #[command(subcommand)]
    pub command: DataCommand,
}

#[derive(Clone, Debug, Subcommand)]
pub enum DataCommand {
    /// Decode every picture and report on all of them
    Check {
        /// Data sets, as for `train --data`
        #[arg(required = true, value_name = "DIR|FILE|sample")]
        data: Vec<String>,
        /// Name every broken and duplicate picture
        #[arg(long)]
        full: bool,
    },
}

#[derive(Clone, Debug, Args)]
pub struct RunsArgs {
    /// Run folders, or folders of them
    #[arg(default_value = "runs", value_name = "DIR")]
    pub folders: Vec<PathBuf>,
    /// Draw the losses in the terminal
    #[arg(long)]
    pub plot: bool,
    /// Draw the losses as a picture
    #[arg(long, value_name = "OUT.svg")]
    pub svg: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    /// A run folder, of which the best weights are taken, or where there are none the newest, or a checkpoint
    #[arg(value_name = "RUN|CHECKPOINT")]
    pub run: PathBuf,
    /// Where to write the weights
    #[arg(long, value_name = "OUT.safetensors")]
    pub out: PathBuf,
    /// Take the averages of the weights that --ema-decay keeps
    #[arg(long)]
    pub ema: bool,
    /// Store 16-bit floats, half the size
    #[arg(long)]
    pub f16: bool,
}

#[derive(Clone, Debug, Args)]
pub struct SelftestArgs {
    /// Golden cases to run instead of all kernels and the built-in cases
    #[arg(value_name = "CASE.safetensors")]
    pub cases: Vec<PathBuf>,
    /// Show every case and tensor, not only the worst
    #[arg(long)]
    pub full: bool,
}
