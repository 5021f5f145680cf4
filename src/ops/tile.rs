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
        /// Copies of both tiles in workgroup memory, one or two.
        buffers: u32,
        /// Whether the loop over a step stays one: fewer registers, more instructions.
        rolled: bool,
    },
    /// On matrix units, for operands in 16 bits: a tile of `m` x `n` in steps of `k`, a subgroup computes `rows` x
    /// `columns` matrices.
    Matrix {
        /// Rows and columns of a matrix.
        side: u32,
        /// Rows of the tile.
        m: u32,
        /// Columns of the tile.
        n: u32,
        /// Depth of a step.
        k: u32,
        /// Matrices of a subgroup along m.
        rows: u32,
        /// Matrices of a subgroup along n.
        columns: u32,
        /// Copies of both tiles in workgroup memory, one or two.
        buffers: u32,
    },
}

impl Tile {
    const DIRECT: Tile = Tile::Direct { rows: 16, lanes: 8 };
    /// The one that is taken where none was measured, and that decides how k is split.
    pub(super) const USUAL: Tile = Tile::shared((64, 64, 16), (2, 2), 1);
    /// With more invocations for as many rows and columns.
    const BUSY: Tile = Tile::shared((64, 64, 16), (1, 1), 1);
    const SMALL: Tile = Tile::shared((32, 32, 16), (1, 1), 1);
    /// The usual one where invocations have few registers.
    const LEAN: Tile = Tile::rolled((64, 64, 8), (2, 2));

    const fn shared((m, n, k): (u32, u32, u32), (quads_m, quads_n): (u32, u32), buffers: u32) -> Tile {
        Tile::Shared { m, n, k, quads_m, quads_n, buffers, rolled: false }
    }

    const fn rolled((m, n, k): (u32, u32, u32), (quads_m, quads_n): (u32, u32)) -> Tile {
        Tile::Shared { m, n, k, quads_m, quads_n, buffers: 1, rolled: true }
    }

    const fn matrix(side: u32, (m, n, k): (u32, u32, u32), (rows, columns): (u32, u32), buffers: u32) -> Tile {
        Tile::Matrix { side, m, n, k, rows, columns, buffers }
    }
}

/// Partial sums of a column of A beside a gradient of a weight on matrix units: the same in all tiles, so that these
/// give the same bits.
pub(super) const PARTIALS: u32 = 8;

/// All tile shapes: of those that suit an adapter the first is taken where nothing was measured.
pub const TILES: [Tile; 33] = [
    Tile::Broadcast { rows: 64, columns: 2 },
    Tile::Broadcast { rows: 64, columns: 1 },
    Tile::Broadcast { rows: 32, columns: 1 },
    Tile::Direct { rows: 8, lanes: 8 },
    Tile::DIRECT,
    Tile::shared((128, 128, 16), (2, 2), 1),
    Tile::USUAL,
    Tile::BUSY,
    Tile::SMALL,
    Tile::shared((128, 128, 16), (2, 4), 1),
    Tile::shared((64, 128, 16), (2, 4), 1),
    Tile::shared((64, 64, 16), (2, 2), 2),
    Tile::shared((128, 128, 8), (2, 2), 1),
    Tile::shared((128, 64, 16), (2, 2), 1),
    Tile::shared((64, 128, 16), (2, 2), 1),
    Tile::shared((64, 32, 16), (2, 1), 1),
    Tile::shared((32, 64, 16), (1, 2), 1),
    Tile::LEAN,
    Tile::rolled((128, 128, 16), (2, 2)),
    Tile::rolled((64, 128, 16), (1, 2)),
    Tile::matrix(16, (256, 128, 32), (4, 4), 1),
    Tile::matrix(16, (128, 256, 32), (4, 4), 1),
    Tile::matrix(16, (256, 128, 16), (4, 4), 2),
    Tile::matrix(16, (128, 256, 16), (4, 4), 2),
    Tile::matrix(16, (128, 128, 32), (4, 4), 1),
    Tile::matrix(16, (128, 128, 32), (4, 2), 1),
    Tile::matrix(16, (128, 64, 32), (4, 2), 1),
    Tile::matrix(16, (64, 128, 32), (2, 4), 1),
    Tile::matrix(16, (64, 64, 32), (2, 2), 1),
    Tile::matrix(8, (64, 64, 32), (4, 4), 1),
    Tile::matrix(8, (64, 64, 16), (4, 4), 2),
    Tile::matrix(8, (64, 32, 32), (4, 2), 1),
    Tile::matrix(8, (32, 32, 32), (2, 2), 1),
];

impl Tile {
    /// Rows and columns of C that a workgroup computes.
    pub(super) fn extent(self) -> (usize, usize) {
        match self {
            Tile::Broadcast { rows, columns } => (rows as usize, columns as usize * 32),
            Tile::Direct { rows, lanes } => (rows as usize, lanes as usize * 4),
            Tile::Shared { m, n, .. } | Tile::Matrix { m, n, .. } => (m as usize, n as usize),
        }
    }

    /// Invocations of a workgroup, where a subgroup has `lanes`.
    pub(super) fn threads(self, lanes: u32) -> u32 {
        match self {
            Tile::Broadcast { .. } => 8,
            Tile::Direct { lanes, .. } => lanes,
            Tile::Shared { m, n, quads_m, quads_n, .. } => m * n / (16 * quads_m * quads_n),
            Tile::Matrix { side, m, n, rows, columns, .. } => m * n / (rows * columns * side * side) * lanes,
        }
    }

    /// Bytes of workgroup memory, where a subgroup has `lanes`.
    fn workgroup_memory(self, lanes: u32) -> u32 {
        match self {
            Tile::Broadcast { .. } | Tile::Direct { .. } => 0,
            Tile::Shared { m, n, k, buffers, .. } => buffers * (m + n) * k * 4,
            // The longest rows there are, with what lies between them; and what is staged, or sums of columns.
            Tile::Matrix { side, m, n, k, buffers, .. } => {
                let (threads, staged) = (self.threads(lanes), self.staged());
                let stage = threads / lanes * side * (staged * side + 4 * (staged - 1)) * 4;
                buffers * (m + n) * (k + 8) * 2 + stage.max(threads * 16)
            }
        }
    }

    /// Rows of A that are summed at a time beside a gradient of a weight, where a subgroup has `lanes`: as many as
    /// invocations have columns for, but no more than there are partial sums.
    pub(super) fn summers(self, lanes: u32) -> u32 {
        match self {
            Tile::Matrix { m, .. } => (self.threads(lanes) / (m / 4)).clamp(1, PARTIALS),
            _ => 1,
        }
    }

    /// Whether an adapter can run this tile.
    pub fn runs_on(self, caps: Caps) -> bool {
        let lanes = caps.matrix_units.map_or(1, |units| units.lanes);
        let fits = self.threads(lanes) <= caps.max_invocations && self.workgroup_memory(lanes) <= caps.workgroup_memory;
        match self {
            Tile::Broadcast { .. } => caps.subgroup == Some(8),
            Tile::Direct { .. } => true,
            Tile::Shared { .. } => fits,
            Tile::Matrix { side, .. } => {
                fits && caps.matrix_units.is_some_and(|units| units.side == side && self.divides(units.lanes))
            }
        }
    }

    /// Whether it is worth a trial where invocations have `few` registers or not: sums that these have no room for take
    /// seconds to compile, and loops that stay gain nothing where there is room.
    pub(super) fn is_tried(self, few: bool) -> bool {
        match self {
            Tile::Shared { quads_m, quads_n, .. } if few => quads_m * quads_n <= 4,
            Tile::Shared { rolled, .. } => !rolled,
            _ => true,
        }
    }

    /// Matrices of sums that each subgroup writes to workgroup memory at a time: two where a multiprocessor has no room for
    /// a second workgroup anyway, but has some left.
    pub(super) fn staged(self) -> u32 {
        match self {
            Tile::Matrix { m, n, columns, buffers: 1, .. } if m * n > 128 * 128 && columns.is_multiple_of(2) => 2,
            _ => 1,
        }
    }

    /// Whether the vectors of a step can be shared out evenly, where a subgroup has `lanes`.
    pub(super) fn divides(self, lanes: u32) -> bool {
        match self {
            Tile::Matrix { m, n, k, .. } => {
                [m, n].iter().all(|rows| (rows * k / 4).is_multiple_of(self.threads(lanes)))
            }
            _ => true,
        }
    }

    /// Rows and columns of its matrices, where it is one for matrix units.
    pub(super) fn side(self) -> Option<u32> {
        match self {
            Tile::Matrix { side, .. } => Some(side),
            _ => None,
        }
    }

    /// Whether this tile is one for operands in 16 bits only.
    pub fn wants_halves(self) -> bool {
        self.side().is_some()
    }

    /// A good tile for `times` C of `m` x `n` on an adapter; `vectors` tells whether rows are whole vectors, `halves` whether
    /// these hold 16-bit floats.
    pub(super) fn choose(caps: Caps, (m, n): (usize, usize), times: usize, vectors: bool, halves: bool) -> Tile {
        if caps.cpu {
            let broadcast = match (m > 32, n > 32) {
                (true, true) => Tile::Broadcast { rows: 64, columns: 2 },
                (true, false) => Tile::Broadcast { rows: 64, columns: 1 },
                (false, _) => Tile::Broadcast { rows: 32, columns: 1 },
            };
            return if vectors && broadcast.runs_on(caps) { broadcast } else { Tile::DIRECT };
        }
        let mut matrix = TILES.into_iter().filter(|tile| tile.wants_halves() && tile.runs_on(caps));
        // The largest of which there are enough, else the smallest.
        let count = |tile: Tile| times * m.div_ceil(tile.extent().0) * n.div_ceil(tile.extent().1);
        let enough = |tile: &Tile| count(*tile) >= 96;
        if let Some(tile) = matrix.clone().find(enough).or(matrix.next_back()).filter(|_| vectors && halves) {
            return tile;
        }
        let usual = if caps.few_registers { Tile::LEAN } else { Tile::USUAL };
        if count(usual) >= 64 {
            usual
        } else if m.min(n) > 32 {
            Tile::BUSY
        } else {
            Tile::SMALL
        }
    }
}

impl std::fmt::Display for Tile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Tile::Broadcast { rows, columns } => write!(f, "broadcast {rows}x{columns}"),
            Tile::Direct { rows, lanes } => write!(f, "direct {rows}x{lanes}"),
            Tile::Shared { m, n, k, quads_m, quads_n, .. } => write!(f, "{m}x{n}x{k} quads {quads_m}x{quads_n}"),
            Tile::Matrix { side, m, n, k, rows, columns, .. } => {
                write!(f, "{m}x{n}x{k} matrices {rows}x{columns} of {side}x{side}")
            }
        }?;
        match self {
            Tile::Shared { buffers: 2, .. } | Tile::Matrix { buffers: 2, .. } => f.write_str(" twice"),
            Tile::Shared { rolled: true, .. } => f.write_str(" rolled"),
            _ => Ok(()),
        }
    }
}
