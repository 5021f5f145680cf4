//! Tensors that are stored as 16-bit floats.

/// The function `to_halves`, which rounds what is stored.
const ROUNDING: &str = include_str!("../../shaders/lib/half.wgsl");

/// `source` with the storage buffers at `bindings` of group 0 holding 16-bit floats: what is read from them becomes
/// 32-bit, what is written to them is rounded, or infinite where it is too large, and all arithmetic stays as it is.
///
/// # Errors
/// Says which binding is missing, holds no floats, or is used otherwise than read and assigned element by element.
pub fn half_stored(source: &str, bindings: &[u32]) -> Result<String, String> {
    let mut text = source.to_owned();
    for binding in bindings {
        if let Some((name, vector)) = declare(&mut text, *binding)? {
            convert(&mut text, &name, vector)?;
        }
    }
    if text.contains("to_halves(") && !text.contains("fn to_halves(") {
        text = format!("{text}\n{ROUNDING}");
    }
    Ok(if bindings.is_empty() { text } else { format!("enable f16;\n{text}") })
}

/// Gives the buffer at `binding` its new type; returns its name and whether its elements are vectors of four. A shader
/// that has 16-bit floats anyway needs nothing.
fn declare(text: &mut String, binding: u32) -> Result<Option<(String, bool)>, String> {
    let fail = || format!("no buffer of floats at binding {binding}");
    let start = text.find(&format!("@binding({binding})")).ok_or_else(fail)?;
    let length = text[start..].find(';').ok_or_else(fail)?;
    let declaration = &text[start..start + length];
    let (head, ty) = declaration.rsplit_once(": ").filter(|_| declaration.contains("var<storage")).ok_or_else(fail)?;
    let name = head.rsplit(|c: char| !is_part(c)).next().unwrap_or_default().to_owned();
    let (half, vector) = match ty {
        "array<f32>" => ("array<f16>", false),
        "array<vec4f>" => ("array<vec4<f16>>", true),
        "array<vec4<f16>>" => return Ok(None),
        // Of `lib/vector`.
        "array<Vector>" if text.contains("alias Vector = vec4f;") => ("array<vec4<f16>>", true),
        "array<Vector>" => ("array<f16>", false),
        _ => return Err(fail()),
    };
    let at = start + head.len() + 2;
    text.replace_range(at..at + ty.len(), half);
    Ok(Some((name, vector)))
}

/// Converts at every use of `name`.
fn convert(text: &mut String, name: &str, vector: bool) -> Result<(), String> {
    let wide = if vector { "vec4f" } else { "f32" };
    let uses: Vec<usize> = text.match_indices(&format!("{name}[")).map(|(at, _)| at).collect();
    // From the last one on, so that what stands between brackets, or is assigned, is done before.
    for at in uses.into_iter().rev() {
        if text[..at].ends_with(|c: char| is_part(c) || c == '.') {
            continue;
        }
        let fail = || format!("{name} is used otherwise than element by element");
        let open = at + name.len();
        let end = open + closing(&text[open..]).ok_or_else(fail)?;
        let rest = &text[end..];
        if let Some(value) = rest.strip_prefix(" = ") {
            let length = value.find(';').ok_or_else(fail)?;
            let value = &value[..length];
            let half = if vector { format!("to_halves({value})") } else { format!("to_halves(vec4f({value})).x") };
            text.replace_range(end + 3..end + 3 + length, &half);
        } else if is_assignment(rest) {
            return Err(fail());
        } else {
            let element = format!("{wide}({})", &text[at..end]);
            text.replace_range(at..end, &element);
        }
    }
    Ok(())
}

fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Where the bracket that `text` begins with is closed, past it.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    text.bytes()
        .position(|byte| {
            depth += i32::from(byte == b'[') - i32::from(byte == b']');
            depth == 0
        })
        .map(|at| at + 1)
}

/// Whether what follows an element changes a part of it, or changes it in place.
fn is_assignment(rest: &str) -> bool {
    let mut words = rest.split(' ');
    let part = words.next().unwrap_or_default().chars().all(|c| is_part(c) || "[].".contains(c));
    part && words.next().is_some_and(|word| ["=", "+=", "-=", "*=", "/="].contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_widened_and_writes_rounded() {
        let source = "@group(0) @binding(1)\nvar<storage, read> x: array<f32>;\n\n@group(0) @binding(2)\n\
            var<storage, read_write> y: array<vec4f>;\n\nfn main() {\n    y[i + 1u] = vec4f(x[u32(x[0])], y[i].x, ax[0], s.x[0]);\n}\n";
        let text = half_stored(source, &[1, 2]).expect("two buffers of floats");
        assert!(text.starts_with("enable f16;\n"));
        assert!(text.contains("x: array<f16>;") && text.contains("y: array<vec4<f16>>;"), "{text}");
        let line = "y[i + 1u] = to_halves(vec4f(f32(x[u32(f32(x[0]))]), vec4f(y[i]).x, ax[0], s.x[0]));";
        assert!(text.contains(line), "{text}");
        assert_eq!(text.matches("fn to_halves(").count(), 1);
        assert_eq!(half_stored(source, &[]).expect("nothing to do"), source);
    }

    #[test]
    fn vectors_are_what_they_stand_for() {
        let source =
            "@group(0) @binding(1)\nvar<storage, read_write> x: array<Vector>;\n\nfn main() {\n    x[0] = x[1];\n}\n";
        let kinds = [("vec4f", "vec4<f16>", "to_halves(vec4f(x[1]))"), ("f32", "f16", "to_halves(vec4f(f32(x[1]))).x")];
        for (vector, half, value) in kinds {
            let text = half_stored(&format!("alias Vector = {vector};\n{source}"), &[1]).expect("a buffer of floats");
            assert!(text.contains(&format!("x: array<{half}>;")), "{text}");
            assert!(text.contains(&format!("x[0] = {value};")), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_converted_is_an_error() {
        let source = "@group(0) @binding(1)\nvar<storage, read_write> x: array<f32>;\n\n@group(0) @binding(2)\n\
            var<storage, read> n: array<u32>;\n\nfn main() {\n    x[0] += 1.0;\n}\n";
        assert!(half_stored(source, &[1]).expect_err("changed in place").contains('x'));
        assert!(half_stored(source, &[2]).expect_err("integers").contains("binding 2"));
        assert!(half_stored(source, &[3]).is_err());
        assert!(half_stored(&source.replace("x[0] +=", "x[0].y ="), &[1]).is_err());
    }
}
