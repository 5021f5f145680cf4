//! How attention is cut into tiles in workgroup memory, for GPUs.

use crate::gpu::KernelKey;

/// Bytes of workgroup memory that every adapter has.
const WORKGROUP_MEMORY: usize = 16384;
/// Bytes of it of which six workgroups find room where a driver gives kernels some 52 KiB a multiprocessor.
const SMALL_MEMORY: usize = 8192;
/// Invocations of a workgroup.
const THREADS: usize = 64;
/// Fewest tokens of a workgroup that could have more: register tiles are worth less with fewer.
const LEAST_OWN: usize = 24;

/// What registers have room for.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// Most tokens of a workgroup.
    own: usize,
    /// Most vectors of four that an invocation sums up.
    sums: usize,
}

/// Room of the kernel forward and of those for the gradient, where invocations have some 255 registers.
const MANY: [Room; 2] = [Room { own: 56, sums: 18 }, Room { own: 32, sums: 18 }];
/// The same where they have some 128: the compilers for Intel's and Apple's adapters keep all of it in registers, or all
/// but a few.
const FEW: [Room; 2] = [Room { own: 32, sums: 5 }, Room { own: 24, sums: 6 }];
/// What a workgroup costs beside its tokens, in tokens, by the instructions of compiled kernels.
const EXTRA: usize = 16;
const EXTRA_GRADIENT: usize = 5;

/// Tiles of a kernel for one head size: the constants of `attention.wgsl` or `attention_gradient.wgsl`, which say what
/// they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tiles {
    /// Vectors of four in a head.
    d4: usize,
    /// Tokens of a workgroup.
    own: usize,
    /// Teams of a workgroup: one, or two for the gradient.
    teams: usize,
    wide: usize,
    chunk: usize,
    across: usize,
}

impl Tiles {
    /// Every choice of [`super::Attention`] for heads of `head_size`, where invocations have `few` registers or not.
    fn forward(head_size: usize, few: bool) -> impl Iterator<Item = Tiles> {
        let [room, _] = if few { FEW } else { MANY };
        // Not every number of tokens that would do, to have fewer kernels.
        let kept = move |tiles: &Tiles| few || tiles.across < 8 || tiles.own % 16 == 8;
        Self::every(head_size, 1, room, WORKGROUP_MEMORY).filter(kept)
    }

    /// Every choice of [`super::AttentionGradient`]: in little memory, so that many workgroups share a multiprocessor, where
    /// that leaves room for enough tokens of both sides.
    fn gradient(head_size: usize, few: bool) -> impl Iterator<Item = Tiles> {
        let [_, room] = if few { FEW } else { MANY };
        let every = move |memory| Self::every(head_size, 2, room, memory);
        let enough = every(SMALL_MEMORY).next_back().is_some_and(|tiles| tiles.own >= LEAST_OWN && tiles.wide >= 4);
        every(if enough { SMALL_MEMORY } else { WORKGROUP_MEMORY })
    }

    /// What there is `room` for in registers and `memory` in a workgroup's, fewest tokens first.
    fn every(head_size: usize, teams: usize, room: Room, memory: usize) -> impl DoubleEndedIterator<Item = Tiles> {
        let d4 = head_size / 4;
        let across = d4.next_power_of_two().min(8);
        let tiles = move |wide| {
            // The longest chunks that there is room for.
            let tiles = move |own| [8, 4, 2].map(|chunk| Tiles { d4, own, teams, wide, chunk, across });
            (1..=room.own).filter_map(move |own| tiles(own).into_iter().find(|tiles| tiles.fit(room, memory)))
        };
        let largest = move |wide| tiles(wide).next_back().map_or(0, |tiles| tiles.own);
        // As many tokens of the other side at a time as leave room for enough own ones.
        let least = LEAST_OWN.min(largest(2));
        let wide = [8, 4].into_iter().find(|wide| largest(*wide) >= least).unwrap_or(2);
        tiles(wide).filter(move |tiles| tiles.own >= least)
    }

    fn fit(&self, room: Room, memory: usize) -> bool {
        let whole = self.own.is_multiple_of(self.team() / self.across);
        whole
            && self.chunk >= self.wide
            && self.sum_rows() * self.sum_columns() <= room.sums
            && self.workgroup_memory() <= memory
    }

    fn team(&self) -> usize {
        THREADS / self.teams
    }

    fn rows(&self) -> usize {
        self.own.div_ceil(self.team() / self.wide)
    }

    fn sum_rows(&self) -> usize {
        self.own * self.across / self.team()
    }

    fn sum_columns(&self) -> usize {
        self.d4.div_ceil(self.across)
    }

    /// Own rows that there is room for.
    fn span(&self) -> usize {
        self.rows() * self.team() / self.wide
    }

    /// Vectors of four in workgroup memory.
    fn vectors(&self) -> usize {
        let pitch = if self.d4.is_multiple_of(8) { self.d4 } else { self.d4 | 1 };
        // The gradient's rows of a whole head have room for a vector of each invocation of a team.
        let least = if self.teams == 2 { self.team() } else { 0 };
        self.teams * (self.span() * self.chunk + 4 * (self.wide * pitch).max(least))
    }

    fn workgroup_memory(&self) -> usize {
        // With one team, a number for each token.
        let factors = if self.teams == 1 { self.own.next_multiple_of(4) } else { 0 };
        (self.vectors() * 4 + factors) * size_of::<f32>()
    }

    fn kernel(&self, shader: &'static str) -> KernelKey {
        let constants = [
            ("D4", self.d4),
            ("TEAM", self.team()),
            ("WIDE", self.wide),
            ("CHUNK", self.chunk),
            ("ROWS", self.rows()),
            ("SUM_ROWS", self.sum_rows()),
            ("SUM_COLUMNS", self.sum_columns()),
            ("ACROSS", self.across),
            ("NEAR_TURNS", (self.span() * self.chunk).div_ceil(THREADS)),
            ("FAR_TURNS", (4 * self.wide * self.d4).div_ceil(THREADS)),
            ("STEPS", self.chunk.min(4)),
        ];
        constants.into_iter().fold(KernelKey::new(shader), |key, (name, value)| key.constant(name, value as u32))
    }

    fn forward_kernel(&self) -> KernelKey {
        self.kernel("attention")
    }

    fn gradient_kernels(&self) -> [KernelKey; 2] {
        [true, false].map(|queries| self.kernel("attention_gradient").when("QUERIES", queries))
    }
}

/// The best of `choices` for so many tokens, where a workgroup costs as much as `extra` tokens beside its own.
fn best(choices: impl Iterator<Item = Tiles>, tokens: usize, extra: usize) -> Result<Tiles, String> {
    let best = choices.min_by_key(|tiles| tokens.div_ceil(tiles.own) * (tiles.own + extra));
    best.ok_or_else(|| "no tiles for heads of this size".to_owned())
}

/// The kernel of [`super::Attention`] and the tokens of its workgroups, where invocations have `few` registers or not.
pub(super) fn forward(tokens: usize, head_size: usize, few: bool) -> Result<(KernelKey, usize), String> {
    let tiles = best(Tiles::forward(head_size, few), tokens, EXTRA)?;
    Ok((tiles.forward_kernel(), tiles.own))
}

/// Both kernels of [`super::AttentionGradient`] likewise: queries first, for the other one reads what it writes.
pub(super) fn gradient(tokens: usize, head_size: usize, few: bool) -> Result<([KernelKey; 2], usize), String> {
    let tiles = best(Tiles::gradient(head_size, few), tokens, EXTRA_GRADIENT)?;
    Ok((tiles.gradient_kernels(), tiles.own))
}

/// Every kernel for heads of `head_size`.
pub(super) fn kernels(head_size: usize) -> impl Iterator<Item = KernelKey> {
    [false, true].into_iter().flat_map(move |few| {
        let gradient = Tiles::gradient(head_size, few).flat_map(|tiles| tiles.gradient_kernels());
        Tiles::forward(head_size, few).map(|tiles| tiles.forward_kernel()).chain(gradient)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_fit_into_the_workgroup_memory_of_every_adapter() {
        for (head_size, few) in (8..=128).step_by(4).flat_map(|size| [(size, false), (size, true)]) {
            let (forward, gradient) = (Tiles::forward(head_size, few), Tiles::gradient(head_size, few));
            let (forward, gradient): (Vec<Tiles>, Vec<Tiles>) = (forward.collect(), gradient.collect());
            assert!(!forward.is_empty() && !gradient.is_empty(), "heads of {head_size}");
            for tiles in forward.into_iter().chain(gradient) {
                assert!(tiles.workgroup_memory() <= WORKGROUP_MEMORY, "{tiles:?}");
                assert!(tiles.own <= THREADS, "{tiles:?}: an invocation a row of logits");
                assert_eq!(tiles.sum_rows() * tiles.team(), tiles.own * tiles.across, "{tiles:?}");
                assert!(tiles.sum_rows() <= 8, "{tiles:?}: one team hands its sums to the other in eight blocks");
            }
        }
    }

    #[test]
    fn few_rows_go_to_waste() {
        let many = [(50, 64, [56, 28]), (197, 32, [40, 32]), (65, 80, [40, 24])];
        let few = [(50, 64, [16, 12]), (197, 32, [32, 24]), (65, 80, [8, 8])];
        let all = many.map(|case| (case, false)).into_iter().chain(few.map(|case| (case, true)));
        for ((tokens, head_size, own), few) in all {
            let found = (forward(tokens, head_size, few), gradient(tokens, head_size, few));
            let found = (found.0.map(|(_, own)| own), found.1.map(|(_, own)| own));
            assert_eq!(found, (Ok(own[0]), Ok(own[1])), "{tokens} tokens, heads of {head_size}");
        }
    }
}
