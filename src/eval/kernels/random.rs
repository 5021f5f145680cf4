//! Numbers to feed kernels with, and garbage for memory that they must not rely on.

use crate::gpu::{BufferSlice, Gpu, Uploads};

/// Pseudo-random numbers, the same on every machine.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// 32 bits.
    pub fn bits(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let x = (self.0 >> 33) ^ (self.0 >> 45);
        (x as u32).wrapping_mul(0x9E37_79B1) ^ (self.0 >> 32) as u32
    }

    /// Uniform in [-1, 1).
    pub fn signed(&mut self) -> f32 {
        self.bits() as f32 / 2147483648.0 - 1.0
    }

    /// Below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.bits() as usize % n
    }

    /// `n` numbers in [-1, 1).
    pub fn vec(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.signed()).collect()
    }

    /// The numbers below `n` in some order.
    pub fn permutation(&mut self, n: usize) -> Vec<u32> {
        let mut p: Vec<u32> = (0..n as u32).collect();
        for i in (1..n).rev() {
            p.swap(i, self.below(i + 1));
        }
        p
    }
}

/// Garbage, `words` of it: large numbers and NaNs, so that a kernel that relies on zeroed memory shows.
pub fn garbage(random: &mut Random, words: usize) -> Vec<u32> {
    (0..words).map(|i| if i % 3 == 0 { 0x7fc0_dead } else { random.bits() | 0x4000_0000 }).collect()
}

/// Fills a slice with [`garbage`].
pub fn poison(gpu: &Gpu, slice: &BufferSlice, random: &mut Random) {
    gpu.upload(slice, &garbage(random, (slice.bytes / 4) as usize));
}
