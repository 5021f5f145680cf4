//! Round numbers along a logarithmic axis.

/// Fewest ticks that tell a scale.
const FEWEST: usize = 4;

/// Sets of mantissas to try, coarsest first.
const MANTISSAS: [&[f64]; 4] = [
    &[1.0],
    &[1.0, 2.0, 5.0],
    &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0],
    &[1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0],
];

/// Round numbers whose decadic logarithms lie from `low` to `high`, as few as tell the scale.
pub fn ticks(low: f64, high: f64) -> Vec<f64> {
    if !(low.is_finite() && high.is_finite() && low < high && (-30.0..30.0).contains(&low) && high < 30.0) {
        return Vec::new();
    }
    for mantissas in MANTISSAS {
        let decades = low.floor() as i32..=high.ceil() as i32;
        let all = decades.flat_map(|decade| mantissas.iter().map(move |mantissa| mantissa * 10f64.powi(decade)));
        let inside: Vec<f64> = all.filter(|value| (low..=high).contains(&value.log10())).collect();
        if inside.len() >= FEWEST {
            return inside;
        }
    }
    // So narrow that the axis is as good as linear.
    let (from, to) = (10f64.powf(low), 10f64.powf(high));
    let rough = (to - from) / FEWEST as f64;
    let decade = 10f64.powf(rough.log10().floor());
    let step = [5.0, 2.0, 1.0].map(|m| m * decade).into_iter().find(|step| *step <= rough).unwrap_or(decade);
    let first = (from / step).ceil() as i64;
    (first..).map(|n| n as f64 * step).take_while(|value| *value <= to).collect()
}

/// `value` without digits that say nothing.
pub fn label(value: f64) -> String {
    let text = format!("{:.*}", (3 - value.abs().log10().floor() as i32).clamp(0, 9) as usize, value);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(from: f64, to: f64) -> Vec<String> {
        ticks(from.log10(), to.log10()).into_iter().map(label).collect()
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(labels(0.001, 20.0), ["0.001", "0.01", "0.1", "1", "10"]);
        assert_eq!(labels(0.09, 1.1), ["0.1", "0.2", "0.5", "1"]);
        assert_eq!(labels(0.7, 2.5), ["0.7", "1", "1.5", "2"]);
        assert_eq!(labels(0.34, 0.4), ["0.34", "0.35", "0.36", "0.37", "0.38", "0.39", "0.4"]);
        for (from, to) in [(0.5, 0.51), (0.9, 1.3), (1e-6, 1e3), (0.41, 2.2)] {
            let count = ticks(f64::log10(from), f64::log10(to)).len();
            assert!((FEWEST - 1..=12).contains(&count), "{count} between {from} and {to}");
        }
        assert!(ticks(1.0, 1.0).is_empty() && ticks(f64::NAN, 1.0).is_empty());
    }
}
