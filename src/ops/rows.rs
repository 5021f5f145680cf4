//! What kernels that go over rows have in common (`shaders/lib/rows.wgsl`, `shaders/lib/vector.wgsl`).

use crate::graph::{Launcher, TensorType};

/// Rows of a workgroup, where an invocation does not take one by itself.
pub(super) const GROUP_ROWS: u32 = 4;

/// Workgroups for `rows`, an invocation a row where `direct`, and those along x.
pub(super) fn row_groups(launcher: &Launcher<'_>, rows: usize, direct: bool) -> ([u32; 3], u32) {
    let (workgroups, _) = launcher.spread(rows, if direct { 64 } else { GROUP_ROWS });
    (workgroups, workgroups[0])
}

/// Vectors in a row of `width` numbers, and whether they are single numbers since no whole number of fours fits.
pub(super) fn vectors(width: usize) -> (usize, bool) {
    if width.is_multiple_of(4) { (width / 4, false) } else { (width, true) }
}

/// Vectors of a row, and rows, of a workgroup that takes a block of rows (`shaders/lib/blocks.wgsl`).
pub(super) const BLOCK_COLUMNS: usize = 32;
pub(super) const BLOCK_LINES: usize = 8;

/// Workgroups that cover `ty` `[batches, rows, width]` with a block of rows each, batch elements along z.
pub(super) fn batched_groups(ty: &TensorType) -> [u32; 3] {
    let (width, _) = vectors(ty.last());
    let batches = ty.shape[0];
    let rows = ty.rows() / batches.max(1);
    [width.div_ceil(BLOCK_COLUMNS) as u32, rows.div_ceil(BLOCK_LINES) as u32, batches as u32]
}
