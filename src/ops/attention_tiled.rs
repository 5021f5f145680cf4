//! How attention is cut into tiles in workgroup memory, for GPUs.

use crate::gpu::KernelKey;

/// Invocations of a team, and of a workgroup.
const TEAM: usize = 32;
const THREADS: usize = 2 * TEAM;
/// Most tokens of a workgroup, and the fewest of one that could have more: register tiles get less worth with them.
const MOST_OWN: usize = 32;
const LEAST_OWN: usize = 24;
/// Most vec4s that an invocation of the gradient sums up.
const MOST_SUMS: usize = 18;

/// Tiles of the gradient: the constants of `attention_gradient.wgsl`, which says what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GradientTiles {
    /// Vectors of four in a head.
    d4: usize,
    /// Own tokens of a workgroup.
    pub(super) own: usize,
    wide: usize,
    across: usize,
}

impl GradientTiles {
    /// With the most tokens for heads of `head_size`.
    fn largest(head_size: usize) -> Self {
        let d4 = head_size / 4;
        // As many tokens of the other side as there is room for.
        let wide = match d4 {
            ..=8 => 8,
            9..=24 => 4,
            _ => 2,
        };
        let across = d4.next_power_of_two().min(8);
        let own = (MOST_SUMS / d4.div_ceil(across) * TEAM / across).min(MOST_OWN);
        GradientTiles { d4, own, wide, across }
    }

    /// Every choice for heads of `head_size`.
    pub(super) fn every(head_size: usize) -> impl Iterator<Item = GradientTiles> {
        let largest = Self::largest(head_size);
        let step = TEAM / largest.across;
        (LEAST_OWN.min(largest.own)..=largest.own)
            .filter(move |own| own.is_multiple_of(step))
            .map(move |own| GradientTiles { own, ..largest })
    }

    /// The best choice for so many tokens.
    pub(super) fn of(tokens: usize, head_size: usize) -> Self {
        // What a tile costs beside what it costs a token.
        let cost = |tiles: &GradientTiles| tokens.div_ceil(tiles.own) * (tiles.own + 5);
        Self::every(head_size).min_by_key(cost).unwrap_or(Self::largest(head_size))
    }

    /// Rows of the products of an invocation.
    fn rows(self) -> usize {
        self.own.div_ceil(TEAM / self.wide)
    }

    /// Both launches: queries first, for the other one reads what it writes.
    pub(super) fn kernels(self) -> [KernelKey; 2] {
        let GradientTiles { d4, own, wide, across } = self;
        let near = self.rows() * TEAM;
        let constants = [
            ("D4", d4),
            ("WIDE", wide),
            ("ROWS", self.rows()),
            ("SUM_ROWS", own * across / TEAM),
            ("SUM_COLUMNS", d4.div_ceil(across)),
            ("ACROSS", across),
            ("NEAR_TURNS", near.div_ceil(THREADS)),
            ("FAR_TURNS", (4 * wide * d4).div_ceil(THREADS)),
            ("STEPS", wide.min(4)),
        ];
        [true, false].map(|queries| {
            let key = KernelKey::new("attention_gradient").when("QUERIES", queries);
            constants.into_iter().fold(key, |key, (name, value)| key.constant(name, value as u32))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of workgroup memory that every adapter has.
    const WORKGROUP_MEMORY: usize = 16384;

    /// Vec4s of a row of a whole head in workgroup memory.
    fn pitch(d4: usize) -> usize {
        if d4.is_multiple_of(8) { d4 } else { d4 | 1 }
    }

    #[test]
    fn tiles_fit_into_the_workgroup_memory_of_every_adapter() {
        for head_size in (8..=128).step_by(4) {
            assert!(GradientTiles::every(head_size).count() > 0, "{head_size}");
            for tiles in GradientTiles::every(head_size) {
                let GradientTiles { d4, own, wide, across } = tiles;
                let vectors = 2 * (tiles.rows() * TEAM + 4 * wide * pitch(d4));
                assert!(vectors * 16 <= WORKGROUP_MEMORY, "{tiles:?}: {} bytes", vectors * 16);
                // One team's sums go through it too.
                let sums = own * across / TEAM * d4.div_ceil(across);
                assert!(sums * TEAM <= vectors && sums <= MOST_SUMS, "{tiles:?}: {sums} sums");
                assert!((own * across).is_multiple_of(TEAM), "{tiles:?}");
            }
        }
    }

    #[test]
    fn tiles_waste_few_rows() {
        for (tokens, head_size, own) in [(50, 64, 28), (197, 32, 32), (65, 80, 24), (17, 32, 24)] {
            assert_eq!(GradientTiles::of(tokens, head_size).own, own, "{tokens}");
        }
    }
}
