//! The tiles that a matrix product is cut into, one kernel variant each.

use super::Form;
use crate::graph::Caps;

/// Tile shape of one kernel variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tile {
    /// Register tiles straight from memory, for processors: rows an invocation, invocations a workgroup.
    Direct {
        /// Rows of C an invocation computes (4 columns each).
        rows: u32,
        /// Invocations a workgroup, side by side along n.
        lanes: u32,
    },
    /// The same with A shared by broadcast among the 8 invocations of a subgroup.
    Broadcast,
    /// Through workgroup memory: a tile of `m` x `n` in steps of `k`, an invocation computes `4 quads_m` x `4 quads_n`.
    Shared {
        /// Rows of the tile.
        m: u32,
        /// Columns of the tile.
        n: u32,
        /// Depth of a step.
        k: u32,
        /// Quads of rows an invocation.
        quads_m: u32,
        /// Quads of columns an invocation.
        quads_n: u32,
    },
}

/// The tile shapes that tests and benchmarks go through.
pub const TILES: [Tile; 12] = [
    Tile::Broadcast,
    Tile::Direct { rows: 8, lanes: 8 },
    Tile::Direct { rows: 16, lanes: 8 },
    Tile::Shared { m: 128, n: 128, k: 16, quads_m: 2, quads_n: 2 },
    Tile::Shared { m: 64, n: 64, k: 16, quads_m: 2, quads_n: 2 },
    Tile::Shared { m: 64, n: 64, k: 16, quads_m: 1, quads_n: 1 },
    Tile::Shared { m: 32, n: 32, k: 16, quads_m: 1, quads_n: 1 },
    Tile::Shared { m: 128, n: 128, k: 8, quads_m: 2, quads_n: 2 },
    Tile::Shared { m: 128, n: 64, k: 16, quads_m: 2, quads_n: 2 },
    Tile::Shared { m: 64, n: 128, k: 16, quads_m: 2, quads_n: 2 },
    Tile::Shared { m: 64, n: 32, k: 16, quads_m: 2, quads_n: 1 },
    Tile::Shared { m: 32, n: 64, k: 16, quads_m: 1, quads_n: 2 },
];

impl Tile {
    /// Rows and columns of C that a workgroup computes.
    pub(super) fn extent(self, form: Form) -> (usize, usize) {
        match self {
            Tile::Broadcast => (Tile::broadcast_rows(form) as usize, 32),
            Tile::Direct { rows, lanes } => (rows as usize, lanes as usize * 4),
            Tile::Shared { m, n, .. } => (m as usize, n as usize),
        }
    }

    /// Rows an invocation computes by broadcast: enough to load A in whole vectors.
    pub(super) fn broadcast_rows(form: Form) -> u32 {
        if form == Form::TN { 32 } else { 16 }
    }

    /// Invocations of a workgroup.
    pub(super) fn threads(self) -> u32 {
        match self {
            Tile::Broadcast => 8,
            Tile::Direct { lanes, .. } => lanes,
            Tile::Shared { m, n, quads_m, quads_n, .. } => m * n / (16 * quads_m * quads_n),
        }
    }

    /// Whether an adapter can run this tile.
    pub fn runs_on(self, caps: Caps) -> bool {
        match self {
            Tile::Broadcast => caps.subgroup == Some(8),
            Tile::Direct { .. } => true,
            Tile::Shared { m, n, k, .. } => {
                self.threads() <= caps.max_invocations && (m + n) * k * 4 <= caps.workgroup_memory
            }
        }
    }

    /// A good tile for C of `m` x `n` on an adapter.
    pub(super) fn choose(caps: Caps, m: usize, n: usize) -> Tile {
        if caps.cpu {
            return if Tile::Broadcast.runs_on(caps) { Tile::Broadcast } else { TILES[1] };
        }
        let big = m.div_ceil(128) * n.div_ceil(128);
        match TILES[3] {
            tile if tile.runs_on(caps) && big >= 96 => tile,
            _ if m.div_ceil(64) * n.div_ceil(64) >= 64 => TILES[4],
            _ if m.min(n) > 32 => TILES[5],
            _ => TILES[6],
        }
    }
}

impl std::fmt::Display for Tile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Tile::Broadcast => f.write_str("broadcast"),
            Tile::Direct { rows, lanes } => write!(f, "direct {rows}x{lanes}"),
            Tile::Shared { m, n, k, quads_m, quads_n } => write!(f, "{m}x{n}x{k} quads {quads_m}x{quads_n}"),
        }
    }
}
