//! Pictures of a benchmark: time by op as bars, cost by size as curves on logarithmic axes.

use std::fmt::Write as _;

use super::chart::escaped;
use crate::train::OpTime;

const WIDTH: f64 = 820.0;
const ROW: f64 = 22.0;
/// Where names end and figures begin.
const BARS: [f64; 2] = [190.0, 560.0];
const BLUE: &str = "#0072b2";
const ORANGE: &str = "#e69f00";

fn begin(height: f64, title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"20\" font-size=\"14\">{}</text>\n",
        escaped(title)
    )
}

/// A count in at most a few letters: millions as such.
fn short(count: f64) -> String {
    match count / 1e6 {
        millions if millions >= 9.95 => format!("{millions:.0}M"),
        millions if millions >= 0.1 => format!("{millions:.1}M"),
        _ => format!("{count}"),
    }
}

/// A bar an op, as long as its share of the step; the darker part is its share of the adapter's peak.
pub fn bars(title: &str, ops: &[OpTime]) -> String {
    let mut svg = begin(40.0 + ROW * ops.len() as f64, title);
    let longest = ops.iter().map(|op| op.share).fold(1e-9, f64::max);
    for (row, op) in ops.iter().enumerate() {
        let top = 32.0 + ROW * row as f64;
        let length = (BARS[1] - BARS[0]) * op.share / longest;
        let used = length * op.share_of_peak.unwrap_or(0.0).clamp(0.0, 1.0);
        let peak = op.share_of_peak.map_or(String::new(), |share| format!(", {:.1} % of peak", share * 100.0));
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n\
             <rect x=\"{}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"16\" fill=\"{BLUE}\" fill-opacity=\"0.35\"/>\n\
             <rect x=\"{}\" y=\"{top:.1}\" width=\"{used:.1}\" height=\"16\" fill=\"{BLUE}\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\">{:.2} ms, {:.1} %{peak}</text>",
            BARS[0] - 8.0,
            top + 12.0,
            op.op,
            BARS[0],
            BARS[0],
            BARS[0] + length + 6.0,
            top + 12.0,
            op.milliseconds,
            op.share * 100.0,
        );
    }
    svg + "</svg>\n"
}

/// Measured milliseconds a step over `x`, and beside them what the arithmetic alone would give, through the last point.
pub fn curves(title: &str, x_name: &str, points: &[[f64; 3]]) -> String {
    let (height, left, right, top, bottom) = (420.0, 80.0, 790.0, 40.0, 370.0);
    let mut svg = begin(height, title);
    let Some([_, last_ms, last_flops]) = points.last().copied() else { return svg + "</svg>\n" };
    let expected = |flops: f64| last_ms * flops / last_flops;
    let ends = |values: Vec<f64>| -> [f64; 2] {
        let [low, high] = values.into_iter().fold([f64::INFINITY, 0.0], |[a, b], v| [a.min(v), f64::max(b, v)]);
        if high > low { [low.ln(), high.ln()] } else { [low.ln() - 0.5, high.ln() + 0.5] }
    };
    let across = ends(points.iter().map(|point| point[0]).collect());
    let down = ends(points.iter().flat_map(|point| [point[1], expected(point[2])]).collect());
    let x = |value: f64| left + (value.ln() - across[0]) / (across[1] - across[0]) * (right - left);
    let y = |value: f64| bottom - (value.ln() - down[0]) / (down[1] - down[0]) * (bottom - top);
    let path = |value: &dyn Fn(&[f64; 3]) -> f64| -> String {
        let places = points.iter().map(|point| format!("{:.1},{:.1}", x(point[0]), y(value(point))));
        format!("M{}", places.collect::<Vec<_>>().join(" L"))
    };
    // Writing to a string cannot fail.
    let _ = writeln!(
        svg,
        "<path d=\"M{left} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"#888\"/>\n\
         <path d=\"{}\" fill=\"none\" stroke=\"{ORANGE}\" stroke-dasharray=\"6 4\" stroke-width=\"2\"/>\n\
         <path d=\"{}\" fill=\"none\" stroke=\"{BLUE}\" stroke-width=\"2\"/>",
        path(&|point| expected(point[2])),
        path(&|point| point[1]),
    );
    // Where the last label ended: the next one goes a line lower if it does not fit beside it.
    let mut end = f64::NEG_INFINITY;
    for point in points {
        let label = short(point[0]);
        let half = label.len() as f64 * 3.5 + 2.0;
        let (place, lower) = (x(point[0]), x(point[0]) - half < end);
        end = if lower { end } else { place + half };
        let _ = writeln!(
            svg,
            "<circle cx=\"{0:.1}\" cy=\"{1:.1}\" r=\"3\" fill=\"{BLUE}\"/>\n\
             <text x=\"{0:.1}\" y=\"{2:.1}\" text-anchor=\"middle\">{3:.0}</text>\n\
             <text x=\"{0:.1}\" y=\"{4}\" text-anchor=\"middle\">{5}</text>",
            place,
            y(point[1]),
            y(point[1]) - 8.0,
            point[1],
            bottom + if lower { 29.0 } else { 16.0 },
            label,
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n\
         <text x=\"{left}\" y=\"{}\" fill=\"{BLUE}\">milliseconds a step, measured</text>\n\
         <text x=\"{}\" y=\"{}\" fill=\"{ORANGE}\">as the arithmetic grows</text>",
        (left + right) / 2.0,
        bottom + 44.0,
        escaped(x_name),
        top - 6.0,
        left + 220.0,
        top - 6.0,
    );
    svg + "</svg>\n"
}
