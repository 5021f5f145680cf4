//! `unmask selftest`: golden cases on this adapter.

use anyhow::bail;

use super::args::{Common, SelftestArgs};
use super::progress::{json_line, say};
use crate::eval::{CaseReport, run_case};
use crate::gpu::Gpu;
use crate::weights::{Tensors, read_tensors};

/// The cases that come with the program.
const BUILT_IN: [(&str, &[u8]); 2] = [
    ("square32_p8", include_bytes!("../../tests/golden/square32_p8.safetensors")),
    ("square64_p16_raw", include_bytes!("../../tests/golden/square64_p16_raw.safetensors")),
];

/// Runs `unmask selftest`.
pub fn run(common: &Common, args: &SelftestArgs) -> anyhow::Result<()> {
    let cases: Vec<Tensors> = match args.cases.is_empty() {
        true => BUILT_IN.iter().map(|(name, bytes)| read_tensors(name, bytes)).collect::<Result<_, _>>()?,
        false => args.cases.iter().map(|path| Tensors::open(path)).collect::<Result<_, _>>()?,
    };
    pollster::block_on(async {
        let gpu = Gpu::open(&common.gpu_options()).await?;
        say(common, format_args!("adapter {}", gpu.name()));
        let mut failed = 0;
        for case in &cases {
            let report = run_case(&gpu, case).await?;
            failed += usize::from(!report.pass);
            match common.json {
                true => json_line(&report)?,
                false => show(&report, args.full),
            }
        }
        match failed {
            0 => Ok(()),
            _ => bail!("{failed} of {} cases failed on {}", cases.len(), gpu.name()),
        }
    })
}

fn show(report: &CaseReport, full: bool) {
    println!("{}: {}", report.case, if report.pass { "pass" } else { "FAIL" });
    println!("  loss         {:.9} (want {:.9}, relative {:.1e})", report.loss.got, report.loss.want, report.loss.rel);
    println!("  pred         off by {:.1e}", report.pred_max_abs);
    println!("  latent       off by {:.1e}", report.latent_max_abs);
    println!("  mask         {}", if report.mask_equal { "equal" } else { "differs" });
    println!("  ids_restore  {}", if report.ids_restore_equal { "equal" } else { "differs" });
    for (what, errors) in [("gradients", &report.grad), ("trained weights", &report.after)] {
        // The key bias has a true gradient of zero: its rounding noise is shown, not judged.
        let judged = errors.iter().filter(|(name, _)| !name.ends_with("k_proj.bias"));
        let worst = judged.max_by(|a, b| a.1.total_cmp(b.1));
        if let Some((name, error)) = worst {
            println!("  {what}: {} tensors, worst relative error {error:.1e} ({name})", errors.len());
        }
        if full {
            for (name, error) in errors {
                println!("    {error:9.1e}  {name}");
            }
        }
    }
    for (step, (got, want)) in report.train_losses.iter().enumerate() {
        println!("  step {}       loss {got:.9} (want {want:.9})", step + 1);
    }
    for failure in &report.failures {
        println!("  out of tolerance: {failure}");
    }
}
