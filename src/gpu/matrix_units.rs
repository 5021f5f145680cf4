//! Matrix units: small matrices that a subgroup multiplies together.

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
    /// Those that kernels are made for: NVIDIA's, AMD's where subgroups are always of 64, Apple's, and llvmpipe's.
    pub const KNOWN: [MatrixUnits; 4] = [
        MatrixUnits { side: 16, lanes: 32, wide: true },
        MatrixUnits { side: 16, lanes: 64, wide: true },
        MatrixUnits { side: 8, lanes: 32, wide: false },
        MatrixUnits { side: 8, lanes: 8, wide: true },
    ];

    /// Those of `adapter` that kernels can use.
    pub(super) fn of(adapter: &wgpu::Adapter) -> Option<Self> {
        let needed = Features::EXPERIMENTAL_COOPERATIVE_MATRIX
            | Features::SHADER_F16
            | Features::SUBGROUP
            | Features::SUBGROUP_BARRIER;
        if !adapter.features().contains(needed) || std::env::var_os(OFF).is_some() {
            return None;
        }
        let info = adapter.get_info();
        let metal = info.backend == wgpu::Backend::Metal;
        // All of Apple's GPUs that have matrix units have 32 lanes; it is no limit that Metal tells.
        let lanes = if metal { 32 } else { info.subgroup_min_size };
        let known = metal || info.subgroup_min_size == info.subgroup_max_size;
        let side = adapter
            .cooperative_matrix_properties()
            .into_iter()
            .filter(|p| p.ab_type == CooperativeScalarType::F16 && p.cr_type == CooperativeScalarType::F32)
            .filter(|p| p.m_size == p.n_size && p.m_size == p.k_size && [8, 16].contains(&p.m_size))
            .map(|p| p.m_size)
            .max()?;
        known.then_some(MatrixUnits { side, lanes, wide: !metal })
    }
}

impl Gpu {
    /// The matrix units that there are, whether they compute rightly or not.
    pub fn matrix_units(&self) -> Option<MatrixUnits> {
        self.matrix_units
    }

    /// The matrix units, once they are known to compute rightly.
    pub fn trusted_matrix_units(&self) -> Option<MatrixUnits> {
        self.matrix_units.filter(|_| self.matrix_trust.get() == Some(&true))
    }

    /// Whether the matrix units were found to compute rightly, or not to; `None` as long as no one has tried.
    pub fn matrix_trust(&self) -> Option<bool> {
        self.matrix_trust.get().copied()
    }

    /// Keeps what a trial of the matrix units showed.
    pub fn trust_matrix_units(&self, trusted: bool) {
        // The first word stands.
        let _ = self.matrix_trust.set(trusted);
    }
}
