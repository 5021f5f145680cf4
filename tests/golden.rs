//! The golden cases on this adapter.

mod common;

use std::path::Path;

use unmask::eval::run_case;
use unmask::weights::Tensors;

fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let case = Tensors::open(&path).expect("a case");
    let gpu = common::gpu();
    let report = pollster::block_on(run_case(&gpu, &case)).expect("a run");
    println!(
        "{name} on {}: loss {:.9} (rel {:.1e}), pred {:.1e}, latent {:.1e}, worst gradient {:.1e}, worst weight {:.1e}",
        report.adapter,
        report.loss.got,
        report.loss.rel,
        report.pred_max_abs,
        report.latent_max_abs,
        report.grad.iter().filter(|(n, _)| !n.ends_with("k_proj.bias")).map(|(_, e)| *e).fold(0.0, f64::max),
        report.after.iter().filter(|(n, _)| !n.ends_with("k_proj.bias")).map(|(_, e)| *e).fold(0.0, f64::max),
    );
    assert!(report.pass, "{name}: {:#?}", report.failures);
    assert!(!report.grad.is_empty() && !report.after.is_empty() && !report.train_losses.is_empty());
}

#[test]
fn normalised_targets_on_small_patches() {
    check("square32_p8.safetensors");
}

#[test]
fn raw_targets_on_large_patches() {
    check("square64_p16_raw.safetensors");
}
