//! The twins' integer arithmetic against that of real numbers.

use unmask::eval::kernels::twins::draws::{power, rectangle};

use crate::common::Random;

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
