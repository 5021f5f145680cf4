//! The linked WGSL of every shader, written by `build.rs`.

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
            Linked { name: format!("{name}{separator}{conditions}"), source: (*source).to_owned() }
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

/// Replaces the value of each module constant `const NAME: u32 = …;` (or `f32`, `bool`) named in `values`.
///
/// Tile sizes and head sizes are constants rather than pipeline overrides, so that they can size private arrays.
/// Then loops marked `// unrolled` are written out, so that arrays of accumulators are indexed by constants alone and
/// live in registers whatever a driver thinks of loops. Errors with what `source` does not declare.
pub fn specialise(source: &str, values: &[(&str, u32)]) -> Result<String, String> {
    let mut text = source.to_owned();
    for (name, value) in values {
        let declaration = format!("const {name}: u32 =");
        let start = text.find(&declaration).ok_or_else(|| format!("no constant `{name}: u32`"))? + declaration.len();
        let end = start + text[start..].find(';').ok_or_else(|| format!("constant `{name}` has no end"))?;
        text.replace_range(start..end, &format!(" {value}u"));
    }
    unrolled(text)
}

/// Marks a loop `for (var NAME = 0u; NAME < COUNT; NAME += 1u) {`, COUNT a number or a constant with a number for value.
const UNROLLED: &str = "{ // unrolled";

/// `text` with each marked loop written out, the inner ones too.
fn unrolled(mut text: String) -> Result<String, String> {
    while let Some(open) = text.find(UNROLLED) {
        let start = text[..open].rfind("for (").ok_or("a marked loop has no head")?;
        let head = text[start..open].to_owned();
        let fail = || format!("a marked loop cannot be written out: {head}");
        let (name, rest) = head["for (var ".len()..].split_once(" = 0u; ").ok_or_else(fail)?;
        let count = rest.strip_prefix(name).and_then(|rest| rest.strip_prefix(" < ")).ok_or_else(fail)?;
        let (count, step) = count.split_once("; ").ok_or_else(fail)?;
        if step.trim_end() != format!("{name} += 1u)") {
            return Err(fail());
        }
        let count = number(&text, count).ok_or_else(fail)?;
        let inside = open + UNROLLED.len();
        let end = inside + closing(&text[inside..]).ok_or_else(fail)?;
        let body = &text[inside..end];
        let copies: String = (0..count).map(|index| format!("{{{}}}\n", with_name(body, name, index))).collect();
        text.replace_range(start..=end, &copies);
    }
    Ok(text)
}

/// The value of `4u`, or of the constant of that name.
fn number(text: &str, expression: &str) -> Option<u32> {
    let declared = text.find(&format!("const {expression}: u32 = ")).map(|at| &text[at..]);
    let value = declared.and_then(|rest| rest.split([';', '=']).nth(1)).unwrap_or(expression);
    value.trim().strip_suffix('u')?.parse().ok()
}

/// Where the brace that is open at the start of `text` is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1;
    text.bytes().position(|byte| {
        depth += i32::from(byte == b'{') - i32::from(byte == b'}');
        depth == 0
    })
}

/// `body` with the number `index` in place of the variable `name`.
fn with_name(body: &str, name: &str, index: u32) -> String {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let (mut text, mut from) = (String::with_capacity(body.len()), 0);
    for (at, _) in body.match_indices(name) {
        let end = at + name.len();
        let before = body[..at].bytes().next_back();
        let alone =
            !before.is_some_and(|byte| part(byte) || byte == b'.') && !body[end..].bytes().next().is_some_and(part);
        if alone && at >= from {
            text.push_str(&body[from..at]);
            text.push_str(&format!("{index}u"));
            from = end;
        }
    }
    text.push_str(&body[from..]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_loops_are_written_out() {
        let source = "const COUNT: u32 = 1u;\nfor (var i = 0u; i < COUNT; i += 1u) { // unrolled\n \
            for (var ij = 0u; ij < 2u; ij += 1u) { // unrolled\n s[i + ij] += v.i; }\n}\n";
        let text = specialise(source, &[("COUNT", 2)]).expect("loops");
        let lines: Vec<String> =
            text.lines().filter(|line| line.contains("s[")).map(|line| line.trim().to_owned()).collect();
        let wanted = ["0u + 0u", "0u + 1u", "1u + 0u", "1u + 1u"].map(|at| format!("s[{at}] += v.i; }}"));
        assert_eq!(lines, wanted);
        assert!(!text.contains("for ("), "{text}");
        let odd = "for (var i = 1u; i < 2u; i += 1u) { // unrolled\n}";
        assert!(specialise(odd, &[]).is_err());
    }
}
