//! What a run writes down of every step.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// Name of the file in a run folder.
pub const METRICS: &str = "metrics.jsonl";

/// A line of `metrics.jsonl`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricsLine {
    /// Optimiser step, from 1; 0 is the state before the first.
    pub step: u64,
    /// Training loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Learning rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
    /// Norm of all gradients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grad_norm: Option<f64>,
    /// Scale of the loss, in mixed precision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<f64>,
    /// Training speed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images_per_s: Option<f64>,
    /// Loss on held-out pictures, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out_loss: Option<f64>,
}

fn text(folder: &Path) -> String {
    let bytes = std::fs::read(folder.join(METRICS)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The lines `wanted` of those that the run in `folder` has written, as they are written.
pub(super) fn metrics_text(folder: &Path, wanted: impl Fn(&MetricsLine) -> bool) -> String {
    let text = text(folder);
    let kept = text.lines().filter(|line| serde_json::from_str(line).is_ok_and(|line| wanted(&line)));
    kept.map(|line| format!("{line}\n")).collect()
}

/// The lines that the run in `folder` has written; none where there is no file.
///
/// A line that was cut short by a crash tells nothing and is passed over.
pub fn read_metrics(folder: &Path) -> Vec<MetricsLine> {
    text(folder).lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
