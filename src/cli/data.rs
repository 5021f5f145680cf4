//! `unmask data`: what is in a data set.

use anyhow::bail;
use serde_json::json;

use super::args::{Common, DataArgs, DataCommand};
use super::progress::{bar, json_line, out, say};
use crate::data::{self, Census, PassedOver, Source, census};
use crate::platform;

/// Names shown of a long list, unless all are asked for.
const FEW: usize = 10;

/// Runs `unmask data`.
pub fn run(common: &Common, args: &DataArgs) -> anyhow::Result<()> {
    let DataCommand::Check { data, full } = &args.command;
    let (source, split) = data::open_all(data)?;
    let indices: Vec<usize> = (0..source.len()).collect();
    let progress = bar(common, indices.len() as u64, 0);
    let found = census(source.as_ref(), &indices, platform::threads(), |done| progress.set_position(done as u64));
    progress.finish_and_clear();
    let passed_over = PassedOver::of(data);
    if common.json {
        let name = |index: &usize| source.distinct_name(*index).to_owned();
        json_line(&json!({
            "pictures": source.len(),
            "readable": found.readable,
            "held_out": split.held_out.len(),
            "formats": found.formats,
            "sizes": found.sizes.iter().map(|([w, h], count)| json!([w, h, count])).collect::<Vec<_>>(),
            "passed_over": passed_over.endings,
            "dark": found.dark,
            "stacks": found.stacks,
            "broken": found.broken.iter().map(|(index, error)|
                json!({"name": name(index), "error": error.to_string()})).collect::<Vec<_>>(),
            "duplicates": found.duplicates.iter().map(|group|
                group.iter().map(name).collect::<Vec<_>>()).collect::<Vec<_>>(),
            "mean": found.pixels.mean,
            "std": found.pixels.std,
        }))?;
    } else {
        out!("pictures    {}, of which {} are held out of training", source.len(), split.held_out.len())?;
        if passed_over.count() > 0 {
            out!("            {passed_over}")?;
        }
        print(common, source.as_ref(), &found, if *full { usize::MAX } else { FEW })?;
    }
    if found.readable == 0 {
        bail!("none of the {} pictures can be read", source.len());
    }
    Ok(())
}

fn print(common: &Common, source: &dyn Source, found: &Census, most: usize) -> anyhow::Result<()> {
    out!("readable    {}", found.readable)?;
    let formats: Vec<String> = found.formats.iter().map(|(format, count)| format!("{format} {count}")).collect();
    out!("formats     {}", formats.join(", "))?;
    if found.dark > 0 {
        let dark = "pictures of 16 bits, of which few levels are left in 8: stretch their contrast before";
        out!("dark        {} {dark}", found.dark)?;
    }
    if found.stacks > 0 {
        out!("stacks      {} files of several pages, of which only the first is read", found.stacks)?;
    }
    let side = |pick: fn([u32; 2]) -> u32| {
        let mut sides: Vec<u32> =
            found.sizes.iter().flat_map(|(size, count)| std::iter::repeat_n(pick(*size), *count)).collect();
        sides.sort_unstable();
        match sides.as_slice() {
            [] => "none".to_owned(),
            sides => format!("{} to {}, median {}", sides[0], sides[sides.len() - 1], sides[sides.len() / 2]),
        }
    };
    out!("width       {}", side(|[width, _]| width))?;
    out!("height      {}", side(|[_, height]| height))?;
    let three = |values: [f64; 3]| values.map(|value| format!("{value:.4}")).join(",");
    out!("mean        {}  (--mean)", three(found.pixels.mean))?;
    out!("deviation   {}  (--std)", three(found.pixels.std))?;
    out!("broken      {}", found.broken.len())?;
    found.broken.iter().take(most).try_for_each(|(_, error)| out!("  {error}"))?;
    let spare: usize = found.duplicates.iter().map(|group| group.len() - 1).sum();
    out!("duplicates  {spare}")?;
    for group in found.duplicates.iter().take(most) {
        let names: Vec<&str> = group.iter().map(|index| source.distinct_name(*index)).collect();
        out!("  {}", names.join(" = "))?;
    }
    if found.broken.len() > most || found.duplicates.len() > most {
        say(common, "--full names them all");
    }
    Ok(())
}
