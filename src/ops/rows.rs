//! What kernels that share `shaders/lib/rows.wgsl` and `shaders/lib/vector.wgsl` have in common.

use crate::graph::Launcher;

/// Workgroups for `rows`, an invocation a row where `direct`, and those along x.
pub(super) fn row_groups(launcher: &Launcher<'_>, rows: usize, direct: bool) -> ([u32; 3], u32) {
    let (workgroups, _) = launcher.spread(rows, if direct { 64 } else { 4 });
    (workgroups, workgroups[0])
}

/// Vectors in a row of `width` numbers, and whether they are single numbers since no whole number of fours fits.
pub(super) fn vectors(width: usize) -> (usize, bool) {
    if width.is_multiple_of(4) { (width / 4, false) } else { (width, true) }
}
