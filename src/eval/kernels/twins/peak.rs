//! The loop of multiply-adds that measures an adapter.

/// What each of `length` invocations of `peak_fma` stores after `rounds` of its chains.
pub fn peak_fma(length: u64, rounds: u32) -> Vec<f64> {
    let chain = |start: f64, component: f64| {
        (0..8 * rounds).fold(start, |x, _| x * (0.999 - component * 0.001) + (0.001 + component * 0.001))
    };
    let sum = |i: u64| {
        let pairs = (0..4).map(f64::from).flat_map(|c| [(c, 1.0), (c, -1.0)]);
        pairs.map(|(c, sign)| chain((i % 64) as f64 + sign * c, c)).sum()
    };
    (0..length).map(sum).collect()
}
