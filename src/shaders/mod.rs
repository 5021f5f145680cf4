//! The linked WGSL of every shader, written by `build.rs`, and what makes a kernel of one.

mod half;
mod unroll;

pub use half::half_stored;

include!(concat!(env!("OUT_DIR"), "/shaders.rs"));

/// One shader with one choice of its conditions.
#[derive(Clone, Debug)]
pub struct Linked {
    /// File name without ending, then the chosen conditions: `matmul+BIAS+GELU`.
    pub name: String,
    /// WGSL, complete.
    pub source: String,
}

/// Every shader in every choice of its conditions.
pub fn all() -> Vec<Linked> {
    LINKED
        .iter()
        .map(|(name, conditions, source)| {
            let separator = if conditions.is_empty() { "" } else { "+" };
            // What is not yet written out is no shader of its own.
            let source = unroll::unrolled((*source).to_owned()).unwrap_or_else(|error| format!("{name}: {error}"));
            Linked { name: format!("{name}{separator}{conditions}"), source }
        })
        .collect()
}

/// The source of shader `name` with just `conditions` true, or `None` where there is no such shader.
///
/// The order of `conditions` does not matter.
pub fn find(name: &str, conditions: &[&str]) -> Option<&'static str> {
    LINKED
        .iter()
        .find(|(candidate, chosen, _)| {
            *candidate == name
                && chosen.split('+').filter(|c| !c.is_empty()).count() == conditions.len()
                && conditions.iter().all(|wanted| chosen.split('+').any(|c| c == *wanted))
        })
        .map(|(_, _, source)| *source)
}

/// Replaces the value of each module constant `const NAME: u32 = …;` named in `values`.
///
/// Tile sizes and head sizes are constants rather than pipeline overrides, so that they can size private arrays.
/// Then loops that count with `++` are written out, so that arrays of accumulators are indexed by constants alone and
/// live in registers whatever a driver thinks of loops. Errors with what `source` does not declare.
pub fn specialise(source: &str, values: &[(&str, u32)]) -> Result<String, String> {
    let mut text = source.to_owned();
    for (name, value) in values {
        let declaration = format!("const {name}: u32 =");
        let start = text.find(&declaration).ok_or_else(|| format!("no constant `{name}: u32`"))? + declaration.len();
        let end = start + text[start..].find(';').ok_or_else(|| format!("constant `{name}` has no end"))?;
        text.replace_range(start..end, &format!(" {value}u"));
    }
    unroll::unrolled(text)
}
