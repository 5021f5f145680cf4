//! Matrix units: small matrices that a subgroup multiplies together.

use std::ops::RangeInclusive;

use wgpu::{CooperativeScalarType, Features};

use super::Gpu;

/// What an adapter's matrix units take: A and B of 16-bit floats, sums in f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MatrixUnits {
    /// Rows, columns and depth of a product.
    pub side: u32,
    /// Invocations of the subgroup that works on one.
    pub lanes: u32,
    /// Whether matrices are read from memory in vectors of four.
    pub wide: bool,
}

/// Set to anything, it leaves matrix units alone.
const OFF: &str = "UNMASK_NO_MATRIX_UNITS";

impl MatrixUnits {
    /// Those that kernels are made for: NVIDIA's and AMD's in subgroups of 32, AMD's in subgroups of 64, Apple's, and
    /// llvmpipe's.
    pub const KNOWN: [MatrixUnits; 4] = [
        MatrixUnits { side: 16, lanes: 32, wide: true },
        MatrixUnits { side: 16, lanes: 64, wide: true },
        MatrixUnits { side: 8, lanes: 32, wide: false },
        MatrixUnits { side: 8, lanes: 8, wide: true },
    ];

    /// Those of `adapter` that kernels can use; several where only a kernel tells how large its subgroups are, as AMD's
    /// drivers choose between 32 and 64.
    pub(super) fn of(adapter: &wgpu::Adapter) -> Vec<Self> {
        let needed = Features::EXPERIMENTAL_COOPERATIVE_MATRIX
            | Features::SHADER_F16
            | Features::SUBGROUP
            | Features::SUBGROUP_BARRIER;
        if !adapter.features().contains(needed) || std::env::var_os(OFF).is_some() {
            return Vec::new();
        }
        let info = adapter.get_info();
        let metal = info.backend == wgpu::Backend::Metal;
        let side = adapter
            .cooperative_matrix_properties()
            .into_iter()
            .filter(|p| p.ab_type == CooperativeScalarType::F16 && p.cr_type == CooperativeScalarType::F32)
            .filter(|p| p.m_size == p.n_size && p.m_size == p.k_size && [8, 16].contains(&p.m_size))
            .map(|p| p.m_size)
            .max();
        // All of Apple's GPUs that have matrix units have 32 lanes; it is no limit that Metal tells.
        let sizes = if metal { 32..=32 } else { info.subgroup_min_size..=info.subgroup_max_size };
        side.map_or_else(Vec::new, |side| Self::among(side, &sizes, !metal))
    }

    /// Those of `side` that kernels are made for, with subgroups of one of `sizes`; of one size that is none of these, all
    /// the same.
    fn among(side: u32, sizes: &RangeInclusive<u32>, wide: bool) -> Vec<Self> {
        if sizes.start() == sizes.end() {
            return vec![MatrixUnits { side, lanes: *sizes.start(), wide }];
        }
        let suits = |units: &MatrixUnits| units.side == side && units.wide == wide && sizes.contains(&units.lanes);
        Self::KNOWN.into_iter().filter(suits).collect()
    }
}

impl Gpu {
    /// The matrix units that there may be, whether they compute rightly or not: several where only a trial tells how large
    /// their subgroups are.
    pub fn matrix_candidates(&self) -> &[MatrixUnits] {
        &self.matrix_candidates
    }

    /// The matrix units, once they are known to compute rightly.
    pub fn trusted_matrix_units(&self) -> Option<MatrixUnits> {
        self.trusted_matrices.get().copied().flatten()
    }

    /// Whether matrix units were tried, with whatever result.
    pub fn tried_matrix_units(&self) -> bool {
        self.trusted_matrices.get().is_some()
    }

    /// Keeps what a trial of the matrix units showed: those that compute rightly, if any do.
    pub fn trust_matrix_units(&self, trusted: Option<MatrixUnits>) {
        // The first word stands.
        let _ = self.trusted_matrices.set(trusted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subgroups_of_several_sizes_leave_a_choice() {
        let lanes = |side, sizes, wide| -> Vec<u32> {
            MatrixUnits::among(side, &sizes, wide).into_iter().map(|units| units.lanes).collect()
        };
        assert_eq!(lanes(16, 32..=32, true), [32]);
        assert_eq!(lanes(16, 32..=64, true), [32, 64]);
        assert_eq!(lanes(8, 32..=32, false), [32]);
        assert_eq!(lanes(16, 4..=4, true), [4], "tiles that it does not divide are left out later");
        assert!(lanes(8, 16..=64, true).is_empty());
    }
}
