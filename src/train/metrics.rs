//! What a run writes down of every step.

use std::io;
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
    /// Share of hidden patches at which it was measured; files of before it could change lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_ratio: Option<f64>,
    /// Which pictures were measured, by a checksum of their names; older files lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<u32>,
}

/// Steps and held-out losses of `lines` since hidden patches last were another share than `mask_ratio`, or pictures
/// others than `measured`: the loss depends on both, so that earlier ones do not compare with these.
pub fn comparable(lines: &[MetricsLine], mask_ratio: f64, measured: Option<u32>) -> Vec<(u64, f64)> {
    let other = |line: &MetricsLine| {
        line.mask_ratio.is_some_and(|ratio| ratio != mask_ratio)
            || line.measured.zip(measured).is_some_and(|(line, now)| line != now)
    };
    let mut found = Vec::new();
    for (line, loss) in lines.iter().filter_map(|line| Some((line, line.held_out_loss?))) {
        match other(line) {
            true => found.clear(),
            false => found.push((line.step, loss)),
        }
    }
    found
}

fn text(folder: &Path) -> io::Result<String> {
    match std::fs::read(folder.join(METRICS)) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// The lines `wanted` of those that the run in `folder` has written, as they are written.
///
/// # Errors
/// The system's: what cannot be read now may be there all the same.
pub(super) fn metrics_text(folder: &Path, wanted: impl Fn(&MetricsLine) -> bool) -> io::Result<String> {
    let text = text(folder)?;
    let kept = text.lines().filter(|line| serde_json::from_str(line).is_ok_and(|line| wanted(&line)));
    Ok(kept.map(|line| format!("{line}\n")).collect())
}

/// The lines that the run in `folder` has written; none where there is no file.
///
/// A line that was cut short by a crash tells nothing and is passed over.
///
/// # Errors
/// As for [`metrics_text`].
pub(super) fn metrics_lines(folder: &Path) -> io::Result<Vec<MetricsLine>> {
    Ok(text(folder)?.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// The lines that the run in `folder` has written, to be looked at: none, and a warning, where the file cannot be read.
pub fn read_metrics(folder: &Path) -> Vec<MetricsLine> {
    metrics_lines(folder).unwrap_or_else(|error| {
        log::warn!("{}: {error}", folder.join(METRICS).display());
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_at_another_ratio_do_not_compare() {
        let line = |(step, loss, mask_ratio)| MetricsLine {
            step,
            held_out_loss: Some(loss),
            mask_ratio,
            ..MetricsLine::default()
        };
        let mut lines: Vec<MetricsLine> =
            [(0, 0.9, None), (5, 0.2, Some(0.5)), (6, 0.8, Some(0.75)), (7, 0.7, Some(0.75))].map(line).into();
        lines.push(MetricsLine { step: 8, loss: Some(0.1), ..MetricsLine::default() });
        assert_eq!(comparable(&lines, 0.75, None), [(6, 0.8), (7, 0.7)]);
        assert!(comparable(&lines, 0.5, None).is_empty());
        assert_eq!(comparable(&lines[..2], 0.5, Some(1)), [(0, 0.9), (5, 0.2)], "what does not say compares");
        lines[2].measured = Some(1);
        lines[3].measured = Some(2);
        assert_eq!(comparable(&lines, 0.75, Some(2)), [(7, 0.7)]);
        assert!(comparable(&lines, 0.75, Some(3)).is_empty());
    }
}
