//! `unmask export`: a run's weights alone, for others to use.

use anyhow::{Context as _, bail};

use super::args::{Common, ExportArgs};
use super::place::check_place;
use super::progress::{json_line, say};
use crate::train::{Checkpoint, NO_RUN, RunFolder, config_metadata};
use crate::weights::{Storage, write_tensors};

/// Runs `unmask export`.
pub fn run(common: &Common, args: &ExportArgs) -> anyhow::Result<()> {
    check_place(Some("--out"), &args.out, &["safetensors"])?;
    let run = &args.run;
    if !run.exists() {
        bail!("{}: no such file or folder; expected a checkpoint or a run folder", run.display());
    }
    if run.is_dir() && !RunFolder::is_run(run) {
        bail!("{}: {NO_RUN}", run.display());
    }
    let best = RunFolder::best(run);
    let (what, (path, checkpoint)) = match (run.is_dir(), best) {
        (false, _) => ("given", (run.clone(), Checkpoint::read(run)?)),
        (true, Some(best)) => ("best", (best.clone(), Checkpoint::read(&best)?)),
        (true, None) => {
            say(common, "no held-out loss was measured, so there is no best checkpoint: using the newest");
            let newest = RunFolder::newest(run)?;
            let none = || format!("{}: nothing was saved yet; expected a file in checkpoints/", run.display());
            ("newest", newest.with_context(none)?)
        }
    };
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
            "in": path, "checkpoint": what, "step": checkpoint.step, "tensors": weights.tensors.len(),
            "bytes": bytes, "out": args.out,
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
