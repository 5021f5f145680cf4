//! Which trained model a command is to use.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use super::advice;
use super::args::Common;
use super::progress::say;
use super::weights;
use crate::train::{Hints, Opened};

/// A trained model.
#[derive(Clone, Debug, Default, Args)]
pub struct ModelArgs {
    /// Trained weights of any layout, a checkpoint, a run folder, or hub:OWNER/NAME[@REVISION] for weights on the Hugging
    /// Face hub, such as hub:facebook/vit-mae-base [default: the micro model that comes with the program]
    #[arg(long, value_name = "PATH")]
    pub weights: Option<PathBuf>,
    #[command(flatten)]
    pub hints: HintArgs,
}

impl ModelArgs {
    /// Opens it, and fetches it first where it is on the hub.
    pub fn open(&self, common: &Common) -> anyhow::Result<Opened> {
        match &self.weights {
            Some(path) => Ok(Opened::open(&weights::local(common, path)?, &self.hints.hints())?),
            None => self.shipped(),
        }
    }

    /// The model that comes with the program; of all hints only another size applies to it.
    fn shipped(&self) -> anyhow::Result<Opened> {
        let hints = self.hints.hints();
        if hints != (Hints { image_size: hints.image_size, ..Hints::default() }) {
            bail!(
                "--heads, --decoder-heads, --norm-pix-loss and --layer-norm-eps need --weights: they do not apply to the \
                 model that comes with the program"
            );
        }
        let shipped = Opened::shipped()?;
        Ok(match hints.image_size {
            Some(size) => shipped.at_size(size)?,
            None => shipped,
        })
    }

    /// The model in words.
    pub fn name(&self) -> String {
        match &self.weights {
            Some(path) => path.display().to_string(),
            None => "the micro model that comes with the program".to_owned(),
        }
    }
}

/// Says what nothing told of `model` and was assumed, and what of its file is not used.
pub fn tell_assumed(common: &Common, model: &Opened) {
    for text in &model.assumed {
        let advice = advice::on_assumed(text).map_or(String::new(), |advice| format!("; {advice}"));
        say(common, format_args!("note: {text}{advice}"));
    }
    if model.weights.averages {
        say(common, "note: the run's averages of its weights are left out; `unmask export --ema` takes them");
    }
}

/// What files of other layouts leave open.
#[derive(Clone, Debug, Default, Args)]
pub struct HintArgs {
    /// Encoder heads of foreign weights, if neither config.json nor a known shape determines them
    #[arg(long, value_name = "N")]
    pub heads: Option<usize>,
    /// Decoder heads, likewise
    #[arg(long, value_name = "N")]
    pub decoder_heads: Option<usize>,
    /// Whether foreign weights predict patches normalised one by one
    #[arg(long, value_name = "true|false")]
    pub norm_pix_loss: Option<bool>,
    /// Layer-norm epsilon of foreign weights [default: as config.json says, else 1e-6]
    #[arg(long, value_name = "EPS")]
    pub layer_norm_eps: Option<f64>,
    /// Side of pictures in pixels, a multiple of the patch: position tables are interpolated [default: as trained]
    #[arg(long, value_name = "PIXELS")]
    pub image_size: Option<usize>,
}

impl HintArgs {
    /// The same for the library.
    pub fn hints(&self) -> Hints {
        let HintArgs { heads, decoder_heads, norm_pix_loss, layer_norm_eps, image_size } = *self;
        Hints { heads, decoder_heads, norm_pix_loss, layer_norm_eps, image_size }
    }
}
