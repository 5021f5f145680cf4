//! Curves of losses as text and as SVG, on a logarithmic scale.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::bail;

/// Columns and rows of a chart in the terminal.
const COLUMNS: usize = 72;
const ROWS: usize = 16;
/// Marks of curves in the terminal; more curves than marks begin anew.
const MARKS: [char; 8] = ['*', 'o', '+', 'x', '#', '@', '%', '&'];
/// Colours of curves, told apart by colour-blind eyes too (Okabe and Ito 2008).
const COLOURS: [&str; 8] = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#000000", "#999999"];

/// A curve with its name.
pub type Curve = (String, Vec<[f64; 2]>);

/// Fails where `--svg` names a file that says that it holds something else: what lies there would be gone.
pub fn check_name(svg: Option<&Path>) -> anyhow::Result<()> {
    match svg.filter(|file| file.extension().is_none_or(|ending| ending != "svg")) {
        Some(file) => bail!("--svg {}: expected a name that ends in .svg", file.display()),
        None => Ok(()),
    }
}

/// The extent of all curves: steps, and losses as logarithms.
fn extent(curves: &[Curve]) -> Option<([f64; 2], [f64; 2])> {
    let points = || curves.iter().flat_map(|(_, curve)| curve).filter(|point| point[1] > 0.0);
    let range = |value: fn(&[f64; 2]) -> f64| {
        let ends = points().map(value).fold([f64::INFINITY, f64::NEG_INFINITY], |[a, b], x| [a.min(x), b.max(x)]);
        // A flat curve still has a middle.
        if ends[1] > ends[0] { ends } else { [ends[0] - 0.05, ends[1] + 0.05] }
    };
    points().next()?;
    Some((range(|point| point[0]), range(|point| point[1].log10())))
}

fn share(value: f64, [low, high]: [f64; 2]) -> f64 {
    ((value - low) / (high - low)).clamp(0.0, 1.0)
}

/// The curves as text, with a legend.
pub fn text(curves: &[Curve]) -> String {
    let Some((steps, losses)) = extent(curves) else { return "no losses yet\n".to_owned() };
    let mut grid = vec![[' '; COLUMNS]; ROWS];
    for ((_, curve), mark) in curves.iter().zip(MARKS.iter().cycle()) {
        for point in curve.iter().filter(|point| point[1] > 0.0) {
            let column = (share(point[0], steps) * (COLUMNS - 1) as f64).round() as usize;
            let row = ((1.0 - share(point[1].log10(), losses)) * (ROWS - 1) as f64).round() as usize;
            grid[row][column] = *mark;
        }
    }
    let mut text = String::new();
    for (row, cells) in grid.iter().enumerate() {
        let loss = 10f64.powf(losses[1] - (losses[1] - losses[0]) * row as f64 / (ROWS - 1) as f64);
        let label = if row % 5 == 0 { format!("{loss:9.4}") } else { " ".repeat(9) };
        let cells: String = cells.iter().collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{label} |{}", cells.trim_end());
    }
    let _ = writeln!(text, "{} +{}", " ".repeat(9), "-".repeat(COLUMNS));
    let (first, last) = (format!("step {}", steps[0].ceil()), steps[1].floor().to_string());
    let _ = writeln!(text, "{} {first}{last:>1$}", " ".repeat(10), COLUMNS - first.len());
    for ((name, _), mark) in curves.iter().zip(MARKS.iter().cycle()) {
        let _ = writeln!(text, "{mark} {name}");
    }
    text
}

/// `text` as it stands in an SVG picture.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The curves as an SVG picture, with axes and a legend.
pub fn svg(curves: &[Curve]) -> String {
    let (width, plot, top) = (820.0, [70.0, 800.0, 360.0], 20.0);
    let height = plot[2] + 40.0 + 18.0 * curves.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    if let Some((steps, losses)) = extent(curves) {
        let x = |step: f64| plot[0] + share(step, steps) * (plot[1] - plot[0]);
        let y = |loss: f64| plot[2] - share(loss.log10(), losses) * (plot[2] - top);
        for tick in 0..=4 {
            let part = f64::from(tick) / 4.0;
            let loss = 10f64.powf(losses[0] + (losses[1] - losses[0]) * part);
            let step = steps[0] + (steps[1] - steps[0]) * part;
            let (at, down) = (x(step), y(loss));
            // Writing to a string cannot fail.
            let _ = writeln!(
                svg,
                "<path d=\"M{} {down:.1}H{}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{loss:.3}</text>\n\
                 <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{step:.0}</text>",
                plot[0],
                plot[1],
                plot[0] - 8.0,
                down + 4.0,
                plot[2] + 18.0
            );
        }
        for ((_, curve), colour) in curves.iter().zip(COLOURS.iter().cycle()) {
            let points = curve.iter().filter(|point| point[1] > 0.0);
            let points: Vec<String> = points.map(|[step, loss]| format!("{:.1},{:.1}", x(*step), y(*loss))).collect();
            let points = points.join(" ");
            let _ =
                writeln!(svg, "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{points}\"/>");
        }
    }
    for (number, ((name, _), colour)) in curves.iter().zip(COLOURS.iter().cycle()).enumerate() {
        let name = escaped(name);
        let at = plot[2] + 44.0 + 18.0 * number as f64;
        let _ = writeln!(
            svg,
            "<rect x=\"{}\" y=\"{}\" width=\"14\" height=\"4\" fill=\"{colour}\"/><text x=\"{}\" y=\"{at}\">{name}</text>",
            plot[0],
            at - 6.0,
            plot[0] + 22.0
        );
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_fall_from_left_to_right() {
        let falling = ("a <run> & more".to_owned(), vec![[0.0, 1.0], [50.0, 0.3], [100.0, 0.1]]);
        let text = text(std::slice::from_ref(&falling));
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(rows[0].trim_end(), "   1.0000 |*");
        assert!(rows[15].starts_with("   0.1000 |") && rows[15].ends_with('*'), "{text}");
        assert!(rows[17].contains("step 0") && rows[17].ends_with("100"), "{text}");
        assert_eq!(rows[18], "* a <run> & more");
        let svg = svg(&[falling]);
        assert!(svg.contains("points=\"70.0,20.0 435.0,") && svg.contains("a &lt;run&gt; &amp; more"), "{svg}");
    }

    #[test]
    fn nothing_yet_is_said() {
        assert_eq!(text(&[("a".to_owned(), Vec::new())]), "no losses yet\n");
        assert!(svg(&[("a".to_owned(), vec![[1.0, 0.5]])]).contains("polyline"));
    }
}
