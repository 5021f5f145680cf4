//! Uniform structs shared by Rust and WGSL.

/// Names and WGSL types of the fields of one shader's `Params`, for the test that compares both sides.
#[derive(Clone, Copy, Debug)]
pub struct UniformLayout {
    /// Shader file, without ending.
    pub shader: &'static str,
    /// Fields in order, each 4 bytes: name and `u32` or `f32`.
    pub fields: &'static [(&'static str, &'static str)],
}

/// Declares the uniform `Params` of a shader: fields of 4 bytes, in the order of the WGSL struct.
macro_rules! uniform {
    ($(#[$meta:meta])* $name:ident in $shader:literal { $($field:ident: $ty:ident),* $(,)? }) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, bytemuck::Pod, bytemuck::Zeroable)]
        pub(crate) struct $name { $(pub $field: $ty),* }

        impl $name {
            /// Fields as the WGSL struct must have them.
            pub(crate) const LAYOUT: $crate::ops::UniformLayout = $crate::ops::UniformLayout {
                shader: $shader,
                fields: &[$((stringify!($field), stringify!($ty))),*],
            };
        }
    };
}

/// Every uniform struct of the ops.
pub fn layouts() -> Vec<UniformLayout> {
    vec![
        super::accumulate::Params::LAYOUT,
        super::adamw::Params::LAYOUT,
        super::add::Params::LAYOUT,
        super::attention::Params::LAYOUT,
        super::attention::GradientParams::LAYOUT,
        super::attention::DirectParams::LAYOUT,
        super::attention::GradientDirectParams::LAYOUT,
        UniformLayout { shader: "attention_cooperative", ..super::attention::Params::LAYOUT },
        UniformLayout { shader: "attention_gradient_cooperative", ..super::attention::GradientParams::LAYOUT },
        UniformLayout { shader: "attention_broadcast", ..super::attention::Params::LAYOUT },
        UniformLayout { shader: "attention_gradient_broadcast", ..super::attention::GradientParams::LAYOUT },
        super::attention_row::Params::LAYOUT,
        super::average::Params::LAYOUT,
        super::cast::Params::LAYOUT,
        super::column_sum::Params::LAYOUT,
        super::concat_rows::Params::LAYOUT,
        super::cosine_row::Params::LAYOUT,
        super::crop_boxes::Params::LAYOUT,
        super::cross_entropy::Params::LAYOUT,
        super::fill::Params::LAYOUT,
        super::subgroup_cooperative::Params::LAYOUT,
        super::gather_rows::Params::LAYOUT,
        super::gelu::Params::LAYOUT,
        super::global_norm::Params::LAYOUT,
        super::hidden_rows::Params::LAYOUT,
        super::layer_norm::Params::LAYOUT,
        super::layer_norm::GradientParams::LAYOUT,
        super::layer_norm::ColumnsParams::LAYOUT,
        super::mask_noise::Params::LAYOUT,
        super::mask_rank::Params::LAYOUT,
        super::masked_mse::Params::LAYOUT,
        super::matmul::Params::LAYOUT,
        UniformLayout { shader: "matmul_direct", ..super::matmul::Params::LAYOUT },
        UniformLayout { shader: "matmul_cooperative", ..super::matmul::Params::LAYOUT },
        UniformLayout { shader: "matmul_broadcast", ..super::matmul::Params::LAYOUT },
        super::mean_rows::Params::LAYOUT,
        super::normalise_patches::Params::LAYOUT,
        super::patch_error::Params::LAYOUT,
        super::patchify::Params::LAYOUT,
        super::peak::CopyParams::LAYOUT,
        super::peak::FmaParams::LAYOUT,
        super::preview::Params::LAYOUT,
        super::resample::Params::LAYOUT,
        super::slice_rows::Params::LAYOUT,
        super::softmax::Params::LAYOUT,
    ]
}
