// How invocations lie on a matrix of tiles, of which each reads its row's part of one operand and its column's of the
// other from workgroup memory.

// Row and column of invocation `lane` in a grid that is `across` wide. Of two neighbours, both share a column, and of
// four, every other one shares a row: GPUs then serve more of them at once (as CUTLASS's lanes).
fn grid_row(lane: u32, across: u32) -> u32 {
    return lane / (2u * across) * 2u + lane % 2u;
}

fn grid_column(lane: u32, across: u32) -> u32 {
    return lane / 2u % across;
}
