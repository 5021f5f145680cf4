//! The tiles that a matrix product is cut into, one kernel variant each.

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
    /// The same with A shared by broadcast among the 8 invocations of a subgroup, for rows that are whole vectors.
    Broadcast {
        /// Rows of C an invocation computes: a multiple of 32.
        rows: u32,
        /// Vectors of four columns it computes.
        columns: u32,
    },
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

impl Tile {
    const DIRECT: Tile = Tile::Direct { rows: 16, lanes: 8 };
    const LARGE: Tile = Tile::Shared { m: 128, n: 128, k: 16, quads_m: 2, quads_n: 2 };
    /// The one that decides how k is split.
    pub(super) const USUAL: Tile = Tile::Shared { m: 64, n: 64, k: 16, quads_m: 2, quads_n: 2 };
    /// With more invocations for as many rows and columns.
    const BUSY: Tile = Tile::Shared { m: 64, n: 64, k: 16, quads_m: 1, quads_n: 1 };
    const SMALL: Tile = Tile::Shared { m: 32, n: 32, k: 16, quads_m: 1, quads_n: 1 };
}

/// The tile shapes that tests and benchmarks go through.
pub const TILES: [Tile; 14] = [
    Tile::Broadcast { rows: 64, columns: 2 },
    Tile::Broadcast { rows: 64, columns: 1 },
    Tile::Broadcast { rows: 32, columns: 1 },
    Tile::Direct { rows: 8, lanes: 8 },
    Tile::DIRECT,
    Tile::LARGE,
    Tile::USUAL,
    Tile::BUSY,
    Tile::SMALL,
    Tile::Shared { m: 128, n: 128, k: 8, quads_m: 2, quads_n: 2 },
    Tile::Shared { m: 128, n: 64, k: 16, quads_m: 2, quads_n: 2 },
    Tile::Shared { m: 64, n: 128, k: 16, quads_m: 2, quads_n: 2 },
    Tile::Shared { m: 64, n: 32, k: 16, quads_m: 2, quads_n: 1 },
    Tile::Shared { m: 32, n: 64, k: 16, quads_m: 1, quads_n: 2 },
];

impl Tile {
    /// Rows and columns of C that a workgroup computes.
    pub(super) fn extent(self) -> (usize, usize) {
        match self {
            Tile::Broadcast { rows, columns } => (rows as usize, columns as usize * 32),
            Tile::Direct { rows, lanes } => (rows as usize, lanes as usize * 4),
            Tile::Shared { m, n, .. } => (m as usize, n as usize),
        }
    }

    /// Invocations of a workgroup.
    pub(super) fn threads(self) -> u32 {
        match self {
            Tile::Broadcast { .. } => 8,
            Tile::Direct { lanes, .. } => lanes,
            Tile::Shared { m, n, quads_m, quads_n, .. } => m * n / (16 * quads_m * quads_n),
        }
    }

    /// Whether an adapter can run this tile.
    pub fn runs_on(self, caps: Caps) -> bool {
        match self {
            Tile::Broadcast { .. } => caps.subgroup == Some(8),
            Tile::Direct { .. } => true,
            Tile::Shared { m, n, k, .. } => {
                self.threads() <= caps.max_invocations && (m + n) * k * 4 <= caps.workgroup_memory
            }
        }
    }

    /// A good tile for C of `m` x `n` on an adapter; `vectors` tells whether rows are whole vectors.
    pub(super) fn choose(caps: Caps, (m, n): (usize, usize), vectors: bool) -> Tile {
        if caps.cpu {
            let broadcast = match (m > 32, n > 32) {
                (true, true) => Tile::Broadcast { rows: 64, columns: 2 },
                (true, false) => Tile::Broadcast { rows: 64, columns: 1 },
                (false, _) => Tile::Broadcast { rows: 32, columns: 1 },
            };
            return if vectors && broadcast.runs_on(caps) { broadcast } else { Tile::DIRECT };
        }
        let big = m.div_ceil(128) * n.div_ceil(128);
        match Tile::LARGE {
            tile if tile.runs_on(caps) && big >= 96 => tile,
            _ if m.div_ceil(64) * n.div_ceil(64) >= 64 => Tile::USUAL,
            _ if m.min(n) > 32 => Tile::BUSY,
            _ => Tile::SMALL,
        }
    }
}

impl std::fmt::Display for Tile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Tile::Broadcast { rows, columns } => write!(f, "broadcast {rows}x{columns}"),
            Tile::Direct { rows, lanes } => write!(f, "direct {rows}x{lanes}"),
            Tile::Shared { m, n, k, quads_m, quads_n } => write!(f, "{m}x{n}x{k} quads {quads_m}x{quads_n}"),
        }
    }
}
