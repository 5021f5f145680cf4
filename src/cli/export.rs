//! `unmask export`: a run's weights alone, for others to use.

use anyhow::bail;

use super::args::{Common, ExportArgs};
use super::progress::{json_line, say};
use crate::train::{Checkpoint, config_metadata};
use crate::weights::{Storage, write_tensors};

/// Runs `unmask export`.
pub fn run(common: &Common, args: &ExportArgs) -> anyhow::Result<()> {
    let path = match args.run.is_dir() {
        true => args.run.join("checkpoints/best.safetensors"),
        false => args.run.clone(),
    };
    if !path.exists() {
        bail!(
            "{}: no such checkpoint; expected a checkpoint file or a run folder with checkpoints/best.safetensors",
            path.display()
        );
    }
    let checkpoint = Checkpoint::read(&path)?;
    let mut weights = match (args.ema, checkpoint.average) {
        (false, _) => checkpoint.weights,
        (true, Some(average)) => {
            // Position tables are not trained, and so have no averages.
            let mut weights = checkpoint.weights;
            weights.tensors.extend(average.tensors);
            weights
        }
        (true, None) => {
            bail!("{}: the run keeps no averages; expected --ema-decay when it was started", path.display())
        }
    };
    // What the moments and the order of samples were matters to nobody who only uses the weights.
    weights.metadata.clear();
    weights.metadata.extend(config_metadata(&checkpoint.recipe.model)?);
    weights.metadata.insert("step".to_owned(), checkpoint.step.to_string());
    write_tensors(&args.out, &weights, if args.f16 { Storage::F16 } else { Storage::F32 })?;
    let bytes = std::fs::metadata(&args.out)?.len();
    if common.json {
        return json_line(&serde_json::json!({
            "from": path, "step": checkpoint.step, "tensors": weights.tensors.len(), "bytes": bytes, "out": args.out,
        }));
    }
    say(
        common,
        format_args!(
            "{} (step {}): {} tensors -> {}, {bytes} bytes",
            path.display(),
            checkpoint.step,
            weights.tensors.len(),
            args.out.display()
        ),
    );
    Ok(())
}
