//! The self-test of the kernels passes here, and leaves no kernel out.

mod common;

use std::collections::BTreeSet;

use unmask::eval::kernels::{KernelReport, check_kernels};
use unmask::graph::Caps;
use unmask::{ops, shaders};

/// A shader and its conditions, whose order tells nothing.
fn parts(kernel: &str) -> (String, BTreeSet<String>) {
    let mut parts = kernel.split('+').map(str::to_owned);
    (parts.next().unwrap_or_default(), parts.collect())
}

/// Where results are stored in 16 bits, what that rounds is tolerated.
fn most(report: &KernelReport) -> f64 {
    if report.case.contains("in 16 bits") { 4e-3 } else { 1e-4 }
}

#[test]
fn every_kernel_is_checked_and_passes() {
    let gpu = common::gpu();
    let mut told = Vec::new();
    let reports = pollster::block_on(check_kernels(&gpu, |done, all| told.push((done, all)))).expect("a self-test");
    let all = told.len() - 1;
    assert!(all > 100 && told.iter().enumerate().all(|(index, heard)| *heard == (index, all)), "{told:?}");
    let failed: Vec<_> = reports.iter().filter(|report| !report.pass).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(reports.iter().all(|report| report.error <= report.tolerance && report.tolerance < most(report)));

    let checked: BTreeSet<_> = reports.iter().map(|report| parts(&report.kernel)).collect();
    let broadcasts = Caps::of(&gpu).subgroup == Some(8);
    let runs = |name: &str| match (name.contains("_cooperative"), gpu.trusted_matrix_units()) {
        (true, Some(units)) => {
            let wide = name.contains("+WIDE_MEMORY") || name.starts_with("attention");
            let reads = wide == units.wide || name.starts_with("subgroup");
            reads && name.contains("+SIDE_16") == (units.side == 16)
        }
        (true, None) => false,
        (false, _) => broadcasts || !name.contains("+WITH_SUBGROUPS"),
    };
    let missing: Vec<String> = shaders::all()
        .into_iter()
        .map(|shader| shader.name)
        .filter(|name| !checked.contains(&parts(name)))
        .filter(|name| runs(name))
        .collect();
    assert!(missing.is_empty(), "kernels without a case in src/eval/kernels/cases: {missing:#?}");

    // Sizes stand at the end of a case, `…, TILE_M=64 TILE_N=64`, but for what is stored in 16 bits.
    let listed: BTreeSet<String> = ops::specialised().iter().map(ToString::to_string).collect();
    for report in &reports {
        let case = report.case.split(" f16[").next().unwrap_or_default();
        if let Some(sizes) = case.rsplit(", ").next().filter(|sizes| sizes.contains('=')) {
            let kernel = format!("{} {sizes}", report.kernel);
            assert!(listed.contains(&kernel), "{kernel} is not in ops::specialised()");
        }
    }
}
