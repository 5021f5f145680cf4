// How invocations lie on rows of vectors, batch elements along z, so that none divides: each takes a vector, a workgroup
// COLUMNS of LINES rows. src/ops/rows.rs counts workgroups by the same numbers.

const COLUMNS: u32 = 32u;
const LINES: u32 = 8u;
