//! `unmask selftest`: every kernel and the golden cases on this adapter.

use std::cmp::Ordering::Equal;
use std::collections::BTreeMap;

use anyhow::bail;
use serde::Serialize;

use super::args::{Common, SelftestArgs};
use super::compile_bar::CompileBar;
use super::progress::{bar, json_line, out, say};
use crate::eval::kernels::{KernelReport, check_kernels};
use crate::eval::{CaseReport, run_case};
use crate::gpu::Gpu;
use crate::weights::{Tensors, read_tensors};

/// The cases that come with the program.
const BUILT_IN: [(&str, &[u8]); 2] = [
    ("square32_p8", include_bytes!("../../tests/golden/square32_p8.safetensors")),
    ("square64_p16_raw", include_bytes!("../../tests/golden/square64_p16_raw.safetensors")),
];

/// A kernel's report as a line of JSON.
#[derive(Serialize)]
struct Row<'a> {
    adapter: &'a str,
    #[serde(flatten)]
    report: &'a KernelReport,
}

/// Runs `unmask selftest`.
pub fn run(common: &Common, args: &SelftestArgs) -> anyhow::Result<()> {
    let cases: Vec<Tensors> = match args.cases.is_empty() {
        true => BUILT_IN.iter().map(|(name, bytes)| read_tensors(name, bytes)).collect::<Result<_, _>>()?,
        false => args.cases.iter().map(|path| Tensors::open(path)).collect::<Result<_, _>>()?,
    };
    pollster::block_on(async {
        let gpu = Gpu::open(&common.gpu_options()).await?;
        say(common, format_args!("adapter {}", gpu.name()));
        let mut failures = Vec::new();
        if args.cases.is_empty() {
            let (mut compiling, mut progress) = (Some(CompileBar::watch(common, gpu.compiling())), None);
            let reports = check_kernels(&gpu, |done, all| {
                compiling = None;
                let bar = progress.get_or_insert_with(|| bar(common, all as u64, 0));
                bar.set_message("cases");
                bar.set_position(done as u64);
            })
            .await?;
            if let Some(bar) = progress {
                bar.finish_and_clear();
            }
            let failed = reports.iter().filter(|report| !report.pass).count();
            if failed > 0 {
                failures.push(format!("{failed} of {} checks of kernels", reports.len()));
            }
            match common.json {
                true => reports.iter().try_for_each(|report| json_line(&Row { adapter: gpu.name(), report }))?,
                false => show_kernels(&reports, args.full)?,
            }
        }
        let mut failed = 0;
        for case in &cases {
            let report = run_case(&gpu, case).await?;
            failed += usize::from(!report.pass);
            match common.json {
                true => json_line(&report)?,
                false => show(&report, args.full)?,
            }
        }
        if failed > 0 {
            failures.push(format!("{failed} of {} cases", cases.len()));
        }
        match failures.as_slice() {
            [] => Ok(()),
            _ => bail!("{} failed on {}", failures.join(" and "), gpu.name()),
        }
    })
}

/// A line a kernel with its worst case; with `full`, and where one fails, a line a case.
fn show_kernels(reports: &[KernelReport], full: bool) -> anyhow::Result<()> {
    let mut kernels: BTreeMap<&str, Vec<&KernelReport>> = BTreeMap::new();
    for report in reports {
        kernels.entry(&report.kernel).or_default().push(report);
    }
    let width = kernels.keys().map(|name| name.len()).max().unwrap_or(0);
    for (name, reports) in kernels {
        let pass = reports.iter().all(|report| report.pass);
        let worst = reports.iter().max_by(|a, b| (!a.pass, a.error).partial_cmp(&(!b.pass, b.error)).unwrap_or(Equal));
        let worst = worst.map(|report| error_text(report)).unwrap_or_default();
        out!("{name:width$}  {}  {worst}, the worst of {}", if pass { "pass" } else { "FAIL" }, reports.len())?;
        for report in reports.iter().filter(|report| full || !report.pass) {
            out!("  {:24}  {}", error_text(report), report.case)?;
        }
    }
    Ok(())
}

fn error_text(report: &KernelReport) -> String {
    match report.tolerance {
        0.0 if report.pass => "equal".to_owned(),
        0.0 => format!("{:.1} % differ", 100.0 * report.error),
        tolerance => format!("{:.1e} of {tolerance:.0e} allowed", report.error),
    }
}

fn show(report: &CaseReport, full: bool) -> anyhow::Result<()> {
    out!("{}: {}", report.case, if report.pass { "pass" } else { "FAIL" })?;
    out!("  loss         {:.9} (want {:.9}, relative {:.1e})", report.loss.got, report.loss.want, report.loss.rel)?;
    out!("  pred         off by {:.1e}", report.pred_max_abs)?;
    out!("  latent       off by {:.1e}", report.latent_max_abs)?;
    out!("  mask         {}", if report.mask_equal { "equal" } else { "differs" })?;
    out!("  ids_restore  {}", if report.ids_restore_equal { "equal" } else { "differs" })?;
    for (what, errors) in [("gradients", &report.grad), ("trained weights", &report.after)] {
        // The key bias has a true gradient of zero: its rounding noise is shown, not judged.
        let judged = errors.iter().filter(|(name, _)| !name.ends_with("k_proj.bias"));
        let worst = judged.max_by(|a, b| a.1.total_cmp(b.1));
        if let Some((name, error)) = worst {
            out!("  {what}: {} tensors, worst relative error {error:.1e} ({name})", errors.len())?;
        }
        if full {
            for (name, error) in errors {
                out!("    {error:9.1e}  {name}")?;
            }
        }
    }
    for (step, (got, want)) in report.train_losses.iter().enumerate() {
        out!("  step {}       loss {got:.9} (want {want:.9})", step + 1)?;
    }
    for failure in &report.failures {
        out!("  out of tolerance: {failure}")?;
    }
    Ok(())
}
