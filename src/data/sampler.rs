//! The endless, shuffled stream of training samples.

/// Shuffles a data set anew in every epoch, as a pure function of seed and sample number.
///
/// There is no state to save: a run that continues at sample `k` draws what it would have drawn.
/// Each epoch's order is a keyed permutation: a Feistel network on the smallest even number of
/// bits that holds the length, walked until it lands within the length again. A sample therefore
/// costs the same few operations for any length, and nothing is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    len: u64,
    seed: u64,
    /// Bits in each half of the Feistel network's block.
    half_bits: u32,
}

/// Enough for every bit of the block to depend on every other several times over, even where
/// each half is a single bit.
const ROUNDS: u64 = 8;

impl Sampler {
    /// A sampler of a data set of `len` pictures. Different seeds shuffle differently.
    ///
    /// # Panics
    /// When `len` is 0: there is nothing to draw.
    pub fn new(len: usize, seed: u64) -> Self {
        assert!(len > 0, "cannot draw samples from 0 pictures");
        let len = len as u64;
        let bits = u64::BITS - (len - 1).leading_zeros();
        Self { len, seed, half_bits: bits.div_ceil(2) }
    }

    /// Index of the `k`-th sample: position `k % len` of epoch `k / len`. Below `len`; each
    /// epoch draws each index once.
    pub fn index(&self, k: u64) -> usize {
        let (epoch, position) = (k / self.len, k % self.len);
        let key = mix(mix(self.seed).wrapping_add(epoch));
        // The network permutes a block of up to four times the length. Following its cycle until
        // it comes back within the length restricts it to a permutation of the length.
        let mut value = self.permute(position, key);
        while value >= self.len {
            value = self.permute(value, key);
        }
        value as usize
    }

    fn permute(&self, value: u64, key: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (value >> self.half_bits, value & mask);
        for round in 0..ROUNDS {
            let scrambled = mix(mix(key.wrapping_add(round)) ^ right) & mask;
            (left, right) = (right, left ^ scrambled);
        }
        left << self.half_bits | right
    }
}

/// One step of the SplitMix64 generator: a bijection that spreads each bit over all others.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(sampler: Sampler, len: usize, epoch: u64) -> Vec<usize> {
        let first = epoch * len as u64;
        (first..first + len as u64).map(|k| sampler.index(k)).collect()
    }

    #[test]
    fn every_epoch_is_a_permutation() {
        for len in [1, 2, 3, 4, 5, 16, 17, 207, 1000, 4097] {
            let sampler = Sampler::new(len, 7);
            for e in [0, 1, 2, 99, 1 << 40] {
                let mut drawn = epoch(sampler, len, e);
                drawn.sort_unstable();
                assert!(drawn.into_iter().eq(0..len), "length {len}, epoch {e}");
            }
        }
    }

    #[test]
    fn epochs_and_seeds_differ() {
        let sampler = Sampler::new(207, 0);
        let first = epoch(sampler, 207, 0);
        assert!(!first.is_sorted());
        assert_ne!(first, epoch(sampler, 207, 1));
        assert_ne!(first, epoch(Sampler::new(207, 1), 207, 0));
        assert_ne!(epoch(sampler, 207, 1), epoch(Sampler::new(207, 1), 207, 0));
        assert_eq!(first, epoch(Sampler::new(207, 0), 207, 0));
    }

    #[test]
    fn every_order_of_a_few_is_equally_likely() {
        // 24 orders of 4, so each is expected 1000 times with a deviation of about 31.
        let sampler = Sampler::new(4, 3);
        let mut counts = std::collections::HashMap::new();
        for e in 0..24_000 {
            *counts.entry(epoch(sampler, 4, e)).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 24);
        assert!(counts.values().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn positions_are_independent_of_indices() {
        let (len, epochs) = (10, 10_000);
        let sampler = Sampler::new(len, 11);
        let mut counts = vec![0; len * len];
        for e in 0..epochs {
            for (position, index) in epoch(sampler, len, e).into_iter().enumerate() {
                counts[position * len + index] += 1;
            }
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)));
    }

    #[test]
    #[should_panic(expected = "0 pictures")]
    fn an_empty_set_is_refused() {
        Sampler::new(0, 0);
    }
}
