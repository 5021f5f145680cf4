//! `shaders/lib/random.wgsl` and `draw.wgsl` in Rust: integers, so twins agree to the bit on any adapter.

use crate::common::Random;

pub fn pcg3d([x, y, z]: [u32; 3]) -> [u32; 3] {
    let mut v = [x, y, z].map(|c| c.wrapping_mul(1664525).wrapping_add(1013904223));
    for round in 0..2 {
        v[0] = v[0].wrapping_add(v[1].wrapping_mul(v[2]));
        v[1] = v[1].wrapping_add(v[2].wrapping_mul(v[0]));
        v[2] = v[2].wrapping_add(v[0].wrapping_mul(v[1]));
        if round == 0 {
            v = v.map(|c| c ^ (c >> 16));
        }
    }
    v
}

pub fn draw(step: [u32; 4], purpose: &[u8; 4], index: usize) -> [u32; 3] {
    let [x, y, z] = pcg3d([step[0], step[1], step[2]]);
    pcg3d([x ^ index as u32, y ^ u32::from_be_bytes(*purpose), z])
}

pub fn unit(bits: u32) -> f32 {
    (bits >> 8) as f32 / 16777216.0
}

pub fn below(bits: u32, n: u32) -> u32 {
    ((u64::from(bits) * u64::from(n)) >> 32) as u32
}

pub fn times(a: u64, fraction: u32) -> u64 {
    (a * u64::from(fraction)) >> 14
}

pub fn power(e: u32) -> u32 {
    let f = u64::from((e & 8191) << 3);
    let p = [45584, 65536].iter().fold(14823 + ((5121 * f) >> 16), |p, c| c + ((p * f) >> 16));
    (p >> (6 - (e >> 13))) as u32
}

/// Sides of a rectangle of a quarter of `area4`, by floats.
pub fn rectangle(area4: u64, e: u32) -> [u32; 2] {
    [power(e), power(65536 - e)].map(|p| (times(area4, p) as f64).sqrt()).map(|side| (side as u32).div_ceil(2))
}

#[test]
fn integer_draws_follow_the_real_ones() {
    for e in (16384..=49152).step_by(7) {
        let want = (f64::from(e) / 8192.0 - 4.0).exp2() * 16384.0;
        assert!((f64::from(power(e)) / want - 1.0).abs() < 4e-4, "2^{e}");
    }
    let mut random = Random(5);
    for _ in 0..2000 {
        let (area, e) = (1 + random.below(4_000_000) as u64, 16384 + random.below(32769) as u32);
        let ratio = f64::from(power(e)) / 16384.0;
        let got = f64::from(rectangle(4 * area, e)[0]);
        assert!((got - (area as f64 * ratio).sqrt()).abs() < 0.51, "{area} at {ratio}: {got}");
    }
}
