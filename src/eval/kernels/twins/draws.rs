//! Random choices: integers, so they agree with the kernels to the bit on any adapter.
//!
//! `at` is the step tensor: seed, step, stream and nothing.

use crate::ops::{CropMode, MaskNoise, MaskStrategy};

/// PCG-3D, as `shaders/lib/random.wgsl`.
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

/// Bits for number `index` of a purpose.
pub fn draw(at: [u32; 4], purpose: &[u8; 4], index: usize) -> [u32; 3] {
    let [x, y, z] = pcg3d([at[0], at[1], at[2]]);
    pcg3d([x ^ index as u32, y ^ u32::from_be_bytes(*purpose), z])
}

/// Uniform in [0, 1), 24 bits.
pub fn unit(bits: u32) -> f32 {
    (bits >> 8) as f32 / 16777216.0
}

/// Uniform below `n`.
pub fn below(bits: u32, n: u32) -> u32 {
    ((u64::from(bits) * u64::from(n)) >> 32) as u32
}

/// `a` times a fraction in units of 2^-14.
pub fn times(a: u64, fraction: u32) -> u64 {
    (a * u64::from(fraction)) >> 14
}

/// 2^(e / 2^13 - 4) as a fraction.
pub fn power(e: u32) -> u32 {
    let f = u64::from((e & 8191) << 3);
    let p = [45584, 65536].iter().fold(14823 + ((5121 * f) >> 16), |p, c| c + ((p * f) >> 16));
    (p >> (6 - (e >> 13))) as u32
}

/// Sides of a rectangle of a quarter of `area4` whose width / height is `power(e)`, by floats.
pub fn rectangle(area4: u64, e: u32) -> [u32; 2] {
    [power(e), power(65536 - e)].map(|p| (times(area4, p) as f64).sqrt()).map(|side| (side as u32).div_ceil(2))
}

/// The box (x, y, width, height, flip, 0, 0, 0) that picture `index` of `w` x `h` gets.
pub fn crop_box(mode: CropMode, [w, h]: [u32; 2], at: [u32; 4], index: usize) -> [f32; 8] {
    let centred = |[cw, ch]: [u32; 2], flip: u32| [(w - cw) / 2, (h - ch) / 2, cw, ch, flip, 0, 0, 0].map(|v| v as f32);
    let (scale, ratio, flips) = match mode {
        CropMode::Whole => return centred([w, h], 0),
        CropMode::CentreSquare => return centred([w.min(h); 2], 0),
        CropMode::Random { scale, ratio, flip } => (scale, ratio, flip),
    };
    let fractions = |pair: [f32; 2]| pair.map(|x| (f64::from(x) * 16384.0).round() as u32);
    let ([small, large], [narrow, wide]) = (fractions(scale), fractions(ratio));
    let [log_min, log_max] = ratio.map(|x| ((f64::from(x).log2() + 4.0) * 8192.0).round() as u32);
    let coin = if flips { draw(at, b"PLAC", index * 10)[2] >> 31 } else { 0 };
    for attempt in index * 10..index * 10 + 10 {
        let bits = draw(at, b"CROP", attempt);
        let share = small + below(bits[0], large - small + 1);
        let e = log_min + below(bits[1], log_max - log_min + 1);
        let [cw, ch] = rectangle(times(u64::from(w * h * 4), share), e);
        if cw >= 1 && ch >= 1 && cw <= w && ch <= h {
            let place = draw(at, b"PLAC", attempt);
            let (x, y) = (below(place[0], w - cw + 1), below(place[1], h - ch + 1));
            return [x, y, cw, ch, coin, 0, 0, 0].map(|v| v as f32);
        }
    }
    let aspect = f64::from(w) / f64::from(h);
    let (narrow, wide) = (f64::from(narrow) / 16384.0, f64::from(wide) / 16384.0);
    let cw = if aspect > wide { (f64::from(h) * wide).round() as u32 } else { w };
    let ch = if aspect < narrow { (f64::from(w) / narrow).round() as u32 } else { h };
    centred([cw, ch], coin)
}

/// The noise `[batch, grid²]` that [`MaskNoise`] promises.
pub fn mask_noise(op: &MaskNoise, at: [u32; 4]) -> Vec<f32> {
    let (grid, patches) = (op.grid as u32, op.grid * op.grid);
    let mut noise: Vec<f32> =
        (0..op.batch * patches).map(|i| unit(draw(at, b"NOIS", at[3] as usize * patches + i)[0])).collect();
    for (b, noise) in noise.chunks_mut(patches).enumerate() {
        if op.strategy == MaskStrategy::Grid {
            for (place, value) in noise.iter_mut().enumerate() {
                *value += f32::from(u8::from(place / op.grid % 2 == 1 || place % op.grid % 2 == 1));
            }
        }
        let picture = at[3] as usize + b;
        let least = (16 * patches).div_ceil(196) as u32;
        for laid in 0..64 {
            let covered = noise.iter().filter(|v| **v >= 1.0).count() as u32;
            if op.strategy != MaskStrategy::Block || covered >= op.hidden as u32 {
                break;
            }
            let bits = draw(at, b"BLOC", picture * 64 + laid);
            let area = least + below(bits[0], (op.hidden as u32 - covered).max(least) - least + 1);
            let low = ((0.3f64.log2() + 4.0) * 8192.0).round() as u32;
            let e = low + below(bits[1], 65536 - 2 * low + 1);
            let [w, h] = rectangle(4 * u64::from(area), e).map(|side| side.clamp(1, grid));
            let spot = draw(at, b"BLPL", picture * 64 + laid);
            let (left, top) = (below(spot[0], grid - w + 1), below(spot[1], grid - h + 1));
            for place in (top..top + h).flat_map(|y| (left..left + w).map(move |x| (y * grid + x) as usize)) {
                if noise[place] < 1.0 {
                    noise[place] = ((64 - laid) * patches - place) as f32;
                }
            }
        }
    }
    noise
}

/// What [`mask_rank`] computes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranked {
    /// Each patch's place in the order of its picture's noise.
    pub ids_restore: Vec<u32>,
    /// The patches that stay, in that order.
    pub ids_keep: Vec<u32>,
    /// 1 where a patch is hidden.
    pub mask: Vec<f32>,
}

/// Masks by a stable sort of `noise [batch, patches]`, of which `visible` stay.
pub fn mask_rank(noise: &[f32], patches: usize, visible: usize) -> Ranked {
    let mut all = Ranked::default();
    for row in noise.chunks(patches) {
        let mut shuffle: Vec<u32> = (0..patches as u32).collect();
        shuffle.sort_by(|i, j| row[*i as usize].total_cmp(&row[*j as usize]));
        let mut restore = vec![0; patches];
        shuffle.iter().zip(0..).for_each(|(place, rank)| restore[*place as usize] = rank);
        all.ids_keep.extend_from_slice(&shuffle[..visible]);
        all.mask.extend(restore.iter().map(|rank| f32::from(u8::from(*rank >= visible as u32))));
        all.ids_restore.extend(restore);
    }
    all
}

/// What [`hidden_rows`] computes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hidden {
    /// Hidden tokens, where a class token is the first.
    pub rows: Vec<u32>,
    /// Hidden patches.
    pub patches: Vec<u32>,
    /// Where each token went among them, or their number.
    pub inverse: Vec<u32>,
}

/// The patches that `ids_restore [batch, patches]` puts behind the `visible` ones, in its order.
pub fn hidden_rows(ids_restore: &[u32], patches: usize, visible: usize) -> Hidden {
    let mut all = Hidden::default();
    let none = (patches - visible) as u32;
    for restore in ids_restore.chunks(patches) {
        let place = |rank: usize| restore.iter().position(|other| *other as usize == rank).unwrap_or(0) as u32;
        all.patches.extend((visible..patches).map(place));
        all.rows.extend((visible..patches).map(|rank| place(rank) + 1));
        all.inverse.push(none);
        all.inverse.extend(restore.iter().map(|rank| rank.checked_sub(visible as u32).unwrap_or(none)));
    }
    all
}
