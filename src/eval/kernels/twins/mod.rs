//! What every kernel computes, once more: plain loops in f64, written for being read.
//!
//! The self-test and the tests of the ops compare kernels with these. Tensors are flat, outermost axis first.

pub mod attention;
pub mod draws;
mod elementwise;
mod optimiser;
mod peak;
mod pictures;
mod product;
mod rows;

pub use elementwise::{add, column_sum, erf, gelu, gelu_slope};
pub use optimiser::{AdamWState, adamw, average, global_norm};
pub use peak::peak_fma;
pub use pictures::{normalise_patches, patch_error, patch_sources, preview, resample};
pub use product::{product, product_shapes};
pub use rows::{
    LayerNormed, MaskedLoss, concat_rows, cosine_row, cross_entropy, gather_rows, layer_norm, layer_norm_gradient,
    masked_mse, mean_rows, pad_rows, slice_rows,
};

/// `x` in f64.
pub fn exact(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x)).collect()
}

/// Relative L2 difference of `got` from `want`; infinite where something is not finite or missing.
pub fn relative_error(got: &[f32], want: &[f64]) -> f64 {
    let error: f64 = got.iter().zip(want).map(|(g, w)| (f64::from(*g) - w).powi(2)).sum();
    let norm: f64 = want.iter().map(|w| w * w).sum();
    let error = (error / (norm + 1e-12)).sqrt();
    if error.is_finite() && got.len() == want.len() { error } else { f64::INFINITY }
}
