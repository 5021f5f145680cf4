//! Kernels of attention on matrix units: which adapters and heads they suit, and how they are cut.

use crate::gpu::{KernelKey, MatrixUnits};
use crate::graph::{Caps, DType};

/// Tokens of the other side that are handled together.
const TILE: u32 = 32;
/// Most subgroups of a workgroup.
const SUBGROUPS: u32 = 4;

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
        if !wide || dtype != DType::F16 || !head_size.is_multiple_of(side as usize) {
            return None;
        }
        let needed = tokens.div_ceil(side as usize) as u32;
        (1..=SUBGROUPS.min(needed)).rev().map(|subgroups| Cut { side, lanes, subgroups, head_size: head_size as u32 }).find(
            |cut| cut.workgroup_memory() <= caps.workgroup_memory && cut.threads() <= caps.max_invocations,
        )
    }

    /// Queries or keys that a workgroup owns.
    pub fn own(self) -> usize {
        (self.subgroups * self.side) as usize
    }

    fn threads(self) -> u32 {
        self.subgroups * self.lanes
    }

    /// Bytes of workgroup memory of the kernel that takes most.
    fn workgroup_memory(self) -> u32 {
        let (own, fours) = (self.subgroups * self.side, self.head_size / 4);
        let (head, weights, sums) = (fours + 2, own * (TILE / 4 + 2), TILE / 4 + 1);
        let forward = 8 * ((TILE.max(own) + TILE) * head + weights) + 16 * own * sums.max(fours + 1);
        let backward = 8 * ((2 * TILE).max(own) * head + 2 * weights) + 16 * own * (2 * sums).max(fours + 1);
        forward.max(backward) + 8 * TILE.max(self.threads())
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
        for head_size in [16, 32, 48, 64, 80, 96, 128] {
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
