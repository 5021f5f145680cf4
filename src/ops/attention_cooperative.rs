//! Kernels of attention on matrix units: which adapters and heads they suit, and how they are cut.

use crate::gpu::{KernelKey, MatrixUnits};
use crate::graph::{Caps, DType};

/// Tokens of the other side that are handled together: few, so that several workgroups fit into the workgroup memory of a
/// multiprocessor, of which drivers give kernels little.
const TILE: u32 = 16;
/// Most subgroups of a workgroup.
const SUBGROUPS: u32 = 8;

/// How attention over `tokens` in heads of `head_size` is cut for matrix units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    side: u32,
    lanes: u32,
    subgroups: u32,
    head_size: u32,
}

impl Cut {
    /// The one for an adapter, if it has matrix units that can read the tensors as they are.
    pub fn of(caps: Caps, tokens: usize, head_size: usize, dtype: DType) -> Option<Cut> {
        let MatrixUnits { side, lanes, wide } = caps.matrix_units?;
        // Each row of matrices in a tile is for a part of a subgroup.
        let rows = lanes / side;
        if rows == 0 || !(TILE / 4).is_multiple_of(rows) {
            return None;
        }
        if !wide || dtype != DType::F16 || !head_size.is_multiple_of(side as usize) || tokens < side as usize {
            return None;
        }
        // Matrices of own tokens, in as few workgroups as possible and these of one size.
        let strips = tokens.div_ceil(side as usize) as u32;
        let fits = |most: &u32| {
            let cut =
                Cut { side, lanes, subgroups: strips.div_ceil(strips.div_ceil(*most)), head_size: head_size as u32 };
            (cut.workgroup_memory() <= caps.workgroup_memory && cut.threads() <= caps.max_invocations).then_some(cut)
        };
        (1..=SUBGROUPS).rev().find_map(|most| fits(&most))
    }

    /// Queries or keys that a workgroup owns.
    pub fn own(self) -> usize {
        (self.subgroups * self.side) as usize
    }

    fn threads(self) -> u32 {
        self.subgroups * self.lanes
    }

    /// Bytes of workgroup memory of the kernel that takes most, the one for keys.
    fn workgroup_memory(self) -> u32 {
        let (own, fours) = (self.subgroups * self.side, self.head_size / 4);
        let halves = 2 * TILE * (fours + 2) + 2 * own * (TILE / 4 + 2);
        8 * halves + 16 * own * (TILE.max(self.side) / 4 + 1) + 8 * TILE.max(self.threads())
    }

    fn key(self, shader: &'static str) -> KernelKey {
        let Cut { side, lanes, subgroups, head_size } = self;
        KernelKey::new(shader)
            .constant("D4", head_size / 4)
            .constant("DEPTH", head_size / side)
            .constant("LANES", lanes)
            .constant("SUBGROUPS", subgroups)
            .constant("THREADS", self.threads())
            .constant("TILE", TILE)
            .constant("WIDTH", TILE / side)
            .constant("TURNS", (TILE * head_size / 4).div_ceil(self.threads()))
            .constant("ROUNDS", TILE / 4 / (lanes / side))
            .when("SIDE_16", side == 16)
    }

    /// Attention itself.
    pub fn forward(self) -> KernelKey {
        self.key("attention_cooperative")
    }

    /// Both launches of its gradient, queries first.
    pub fn backward(self) -> [KernelKey; 2] {
        let key = self.key("attention_gradient_cooperative");
        [key.clone().when("QUERIES", true), key]
    }
}

/// Every kernel for the head sizes of the presets, in all cuts that there are.
pub(super) fn kernels() -> Vec<KernelKey> {
    let mut keys = Vec::new();
    for MatrixUnits { side, lanes, wide } in MatrixUnits::KNOWN {
        for head_size in [16, 32, 48, 64, 80, 128] {
            for subgroups in 1..=SUBGROUPS {
                let cut = Cut { side, lanes, subgroups, head_size };
                if wide && head_size % side == 0 {
                    keys.push(cut.forward());
                    keys.extend(cut.backward());
                }
            }
        }
    }
    keys
}
