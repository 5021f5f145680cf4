//! Loops written out.

/// Ends the head of a loop `for (var NAME = 0u; NAME < COUNT; NAME++) {`, COUNT a number or a constant with a number for
/// value. Loops that stay add with `+= 1u`: the linker keeps no comment that could mark them.
const UNROLLED: &str = "++) {";
/// Ends a COUNT `select(COUNT, …, NAME == 1u)`: where the constant NAME is 1 the loop stays after all.
const CHOSEN: &str = " == 1u)";

/// `text` with each such loop written out, the inner ones too.
pub(super) fn unrolled(mut text: String) -> Result<String, String> {
    while let Some(open) = text.find(UNROLLED) {
        let start = text[..open].rfind("for (").ok_or("something counts up that is no loop")?;
        let head = text[start..open].to_owned();
        let fail = || format!("a loop cannot be written out: {head}");
        let (name, rest) = head["for (var ".len()..].split_once(" = 0u; ").ok_or_else(fail)?;
        let count = rest.strip_prefix(name).and_then(|rest| rest.strip_prefix(" < ")).ok_or_else(fail)?;
        let (count, step) = count.split_once("; ").ok_or_else(fail)?;
        if step != name {
            return Err(fail());
        }
        let choice = count.strip_prefix("select(").and_then(|rest| rest.strip_suffix(CHOSEN));
        let (count, stays) = match choice {
            None => (count, false),
            Some(choice) => {
                let ((count, _), (_, name)) = choice.split_once(", ").zip(choice.rsplit_once(", ")).ok_or_else(fail)?;
                (count, number(&text, name).ok_or_else(fail)? == 1)
            }
        };
        if stays {
            text.replace_range(open..open + UNROLLED.len(), " += 1u) {");
            continue;
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
    use crate::shaders::specialise;

    #[test]
    fn marked_loops_are_written_out() {
        let source = "const COUNT: u32 = 1u;\nfor (var i = 0u; i < COUNT; i++) {\n \
            for (var ij = 0u; ij < 2u; ij++) {\n s[i + ij] += v.i; }\n}\n";
        let text = specialise(source, &[("COUNT", 2)]).expect("loops");
        let lines: Vec<String> =
            text.lines().filter(|line| line.contains("s[")).map(|line| line.trim().to_owned()).collect();
        let wanted = ["0u + 0u", "0u + 1u", "1u + 0u", "1u + 1u"].map(|at| format!("s[{at}] += v.i; }}"));
        assert_eq!(lines, wanted);
        assert!(!text.contains("for ("), "{text}");
        let odd = "for (var i = 1u; i < 2u; i++) {\n}";
        assert!(specialise(odd, &[]).is_err());
    }

    #[test]
    fn loops_stay_where_a_constant_says_so() {
        let source = "const ROLLED: u32 = 0u;\nconst COUNT: u32 = 2u;\n\
            for (var i = 0u; i < select(COUNT, min(COUNT, end - k), ROLLED == 1u); i++) {\n s[i] += 1.0;\n}\n";
        let text = specialise(source, &[]).expect("a loop");
        assert!(text.contains("s[0u]") && text.contains("s[1u]") && !text.contains("for ("), "{text}");
        let text = specialise(source, &[("ROLLED", 1)]).expect("a loop");
        assert!(text.contains("ROLLED == 1u); i += 1u) {\n s[i] += 1.0;\n}"), "{text}");
    }
}
