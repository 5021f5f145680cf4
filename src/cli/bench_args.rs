//! The arguments of `unmask bench`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::args::{PrecisionArg, positive, whole};

/// What `unmask bench --scale` goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scale {
    /// Batches of 1 to 256
    Batch,
    /// 49 to 4096 patches a picture
    Tokens,
    /// All presets
    Model,
}

#[derive(Clone, Debug, Args)]
#[command(allow_negative_numbers = true)]
pub struct BenchArgs {
    /// Preset or recipe file
    #[arg(long, default_value = "micro", value_name = "PRESET|FILE")]
    pub model: String,
    /// Pictures a step
    #[arg(long, default_value_t = 16, value_parser = whole::<usize, 0>, value_name = "B")]
    pub batch: usize,
    /// Number formats [default: the recipe's, of presets f32]
    #[arg(long)]
    pub precision: Option<PrecisionArg>,
    /// Share of hidden patches, 0 to under 1 [default: the recipe's, of presets 0.75]
    #[arg(long, value_name = "R")]
    pub mask_ratio: Option<f64>,
    /// Steps that are timed
    #[arg(long, default_value_t = 3, value_parser = whole::<usize, 1>, value_name = "N")]
    pub steps: usize,
    /// Also show milliseconds an op
    #[arg(long)]
    pub ops: bool,
    /// Also show milliseconds per op and shape
    #[arg(long)]
    pub shapes: bool,
    /// Time every tile for every matrix product of the step instead
    #[arg(long, conflicts_with_all = ["ops", "shapes", "svg", "scale", "slice_ms", "encoder_sees_masks", "dump"])]
    pub tiles: bool,
    /// Also draw the time that each op takes
    #[arg(long, value_name = "OUT.svg")]
    pub svg: Option<PathBuf>,
    /// Time a series of batches, of picture sizes or of models instead, as far as 20 s a step and the adapter allow
    #[arg(long, value_name = "BY")]
    pub scale: Option<Scale>,
    /// Also time the step in slices of this many milliseconds, alternating with whole steps, and print the overhead
    #[arg(long, value_parser = positive, value_name = "MS")]
    pub slice_ms: Option<f64>,
    /// Also time the variant whose encoder sees mask tokens, and print the ratio
    #[arg(long)]
    pub encoder_sees_masks: bool,
    /// Compute the inside of each block again for its gradients
    #[arg(long)]
    pub recompute: bool,
    /// Seed of weights and inputs
    #[arg(long, default_value_t = 0, value_parser = whole::<u64, 0>, value_name = "S")]
    pub seed: u64,
    /// Write weights, inputs and loss as tensors, to be compared with another implementation
    #[arg(long, value_name = "OUT.safetensors")]
    pub dump: Option<PathBuf>,
    /// Time steps by turns with another program: answer every line `N` on stdin with the times of N more optimiser steps
    /// at this learning rate, as JSON; `./dev bench --peer` speaks to it
    #[arg(long, value_name = "RATE", num_args = 0..=1, default_missing_value = "1e-3", hide = true)]
    pub turns: Option<f64>,
}
