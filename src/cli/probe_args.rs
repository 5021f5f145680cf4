//! The arguments of `unmask embed` and `unmask probe`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::args::{PrecisionArg, whole};
use super::model_args::ModelArgs;
use crate::probe::{EmbedOptions, K, Pool};

/// What stands for a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PoolArg {
    /// The mean over patches after the last layer norm
    Mean,
    /// The class token after it, as in the paper's linear probe
    Class,
}

/// A trained encoder, and what of it is wanted.
#[derive(Clone, Debug, Args)]
pub struct EncoderArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    /// What stands for a picture
    #[arg(long, default_value = "mean")]
    pub pool: PoolArg,
    /// Number formats
    #[arg(long, default_value = "f32")]
    pub precision: PrecisionArg,
}

impl EncoderArgs {
    /// The same for the library.
    pub fn options(&self) -> EmbedOptions {
        let pool = match self.pool {
            PoolArg::Class => Pool::Class,
            PoolArg::Mean => Pool::Mean,
        };
        EmbedOptions { pool, precision: self.precision.into() }
    }
}

#[derive(Clone, Debug, Args)]
pub struct EmbedArgs {
    /// Pictures, as for `train --data`; may be several
    #[arg(required = true, value_name = "DIR|FILE|sample")]
    pub data: Vec<String>,
    #[command(flatten)]
    pub encoder: EncoderArgs,
    /// Where to write them: float32 of shape (pictures, width). Names and classes of the pictures go beside, a line each,
    /// into a file of the same name that ends in .tsv
    #[arg(long, default_value = "features.npy", value_name = "OUT.npy")]
    pub out: PathBuf,
}

#[derive(Clone, Debug, Args)]
#[command(allow_negative_numbers = true)]
pub struct ProbeArgs {
    /// Pictures to train on, as for `train --data`: in one folder per class, a list with labels behind a tab, tar
    /// archives with .cls files, Parquet files with a column of labels, or .npz files with an array of them; may be
    /// several. Of folders inside folders the outermost is the class, as CLASS in DIR/CLASS/a/b.jpg; one in which all
    /// pictures lie does not count
    #[arg(long, required = true, num_args = 1.., value_name = "DIR|FILE")]
    pub data: Vec<String>,
    /// Test pictures, likewise; those that are in --data too are not trained on [default: the tenth of --data that
    /// training holds out where it is given no --held-out]
    #[arg(long, num_args = 1.., value_name = "DIR|FILE")]
    pub test: Vec<String>,
    /// Classes of --data: a text with a name, a tab and a class a line, in any order, with names as `embed` writes them
    /// into its .tsv; or a class a line, an IDX file or a NumPy array (.npy), in the order of the pictures: those of a
    /// folder sorted by path, others as they lie in their file or list
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Labels for --test, in the same formats
    #[arg(long, value_name = "FILE", requires = "test")]
    pub test_labels: Option<PathBuf>,
    #[command(flatten)]
    pub encoder: EncoderArgs,
    /// Neighbours that vote
    #[arg(long, default_value_t = K, value_parser = whole::<usize, 1>, value_name = "K")]
    pub neighbours: usize,
    /// Passes of the linear classifier over the pictures
    #[arg(long, default_value_t = 90, value_parser = whole::<u64, 1>, value_name = "N")]
    pub epochs: u64,
    /// Seed of the classifier and of the untrained encoder
    #[arg(long, default_value_t = 0, value_parser = whole::<u64, 0>, value_name = "S")]
    pub seed: u64,
    /// Leave the untrained encoder out
    #[arg(long)]
    pub no_untrained: bool,
}
