//! Holds the source to the floor plan: which room may import which, where platform differences live, how long a file
//! gets, and that every shader has an op.
//!
//! A room is a folder or file right under `src/`. It imports from floors below its own. Rooms of one floor do not
//! import each other, with the exceptions of [`NEIGHBOURS`]. Modules under `#[cfg(test)]` may import from any room of
//! their own floor too. `lib.rs` and `main.rs` stand above all floors.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Every room with its floor.
const FLOORS: &[(&str, u32)] = &[
    ("desktop", 8),
    ("web", 8),
    ("app", 7),
    ("cli", 7),
    ("session", 6),
    ("probe", 5),
    ("train", 5),
    ("eval", 5),
    ("mae", 4),
    ("nn", 3),
    ("ops", 2),
    ("graph", 1),
    ("data", 1),
    ("hub", 1),
    ("weights", 1),
    ("gpu", 0),
    ("shaders", 0),
    ("platform", 0),
];

/// Imports allowed within a floor: a probe takes up a trained model as the trainer does, a trainer judges its model on held-out
/// pictures, and the device makes pipelines
/// from the linked shaders and waits the way its platform waits.
const NEIGHBOURS: &[(&str, &str)] = &[("probe", "train"), ("train", "eval"), ("gpu", "shaders"), ("gpu", "platform")];

/// A longer file is more than one thing.
const MAX_LINES: usize = 500;

fn floor(room: &str) -> Option<u32> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// Identifier, keyword or number.
    Word(String),
    /// Content of a string literal, escapes as written.
    Text(String),
    /// `::`
    Colons,
    Sign(char),
}

#[derive(Clone, Debug)]
struct Token {
    line: usize,
    kind: Kind,
}

impl Token {
    fn word(&self) -> Option<&str> {
        if let Kind::Word(word) = &self.kind { Some(word) } else { None }
    }

    fn is(&self, sign: char) -> bool {
        self.kind == Kind::Sign(sign)
    }
}

/// Splits Rust source into tokens, without comments, so that prose and literals are not taken for code.
fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut found, mut i, mut line) = (Vec::new(), 0, 1);
    while i < chars.len() {
        let (start, c) = (i, chars[i]);
        let mut kind = None;
        if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && chars[i] != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            loop {
                match (at(i), at(i + 1)) {
                    ('/', '*') => (depth, i) = (depth + 1, i + 2),
                    ('*', '/') => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
                if depth == 0 || i >= chars.len() {
                    break;
                }
            }
        } else if c == '"' {
            i += 1;
            while i < chars.len() && chars[i] != '"' {
                i += if chars[i] == '\\' { 2 } else { 1 };
            }
            kind = Some(Kind::Text(chars[start + 1..i.min(chars.len())].iter().collect()));
            i += 1;
        } else if c == '\'' && (at(i + 1) == '\\' || at(i + 2) == '\'') {
            // A character, not a lifetime.
            i += if at(i + 1) == '\\' { 3 } else { 2 };
            while i < chars.len() && chars[i] != '\'' {
                i += 1;
            }
            i += 1;
        } else if word(c) {
            while word(at(i)) {
                i += 1;
            }
            let name: String = chars[start..i].iter().collect();
            let hashes = (i..).take_while(|j| at(*j) == '#').count();
            if name.ends_with('r') && name.len() <= 2 && at(i + hashes) == '"' {
                let body = i + hashes + 1;
                i = body;
                while i < chars.len() && !(chars[i] == '"' && (1..=hashes).all(|h| at(i + h) == '#')) {
                    i += 1;
                }
                kind = Some(Kind::Text(chars[body..i.min(chars.len())].iter().collect()));
                i += 1 + hashes;
            } else if name == "r" && hashes == 1 && word(at(i + 1)) {
                // A raw identifier: its name comes next.
                i += 1;
            } else {
                kind = Some(Kind::Word(name));
            }
        } else if c == ':' && at(i + 1) == ':' {
            kind = Some(Kind::Colons);
            i += 2;
        } else {
            kind = (!c.is_whitespace()).then_some(Kind::Sign(c));
            i += 1;
        }
        found.extend(kind.map(|kind| Token { line, kind }));
        line += chars[start..i.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    found
}

/// Collects the paths, from the crate's root, of the use tree or path that goes on at token `i` after `prefix`.
///
/// Returns where it ends.
fn walk(tokens: &[Token], mut i: usize, mut prefix: Vec<String>, found: &mut Vec<(usize, Vec<String>)>) -> usize {
    let mut line = tokens.get(i.saturating_sub(1)).map_or(0, |token| token.line);
    while let Some(token) = tokens.get(i) {
        line = token.line;
        i += 1;
        match &token.kind {
            Kind::Sign('{') => {
                while tokens.get(i).is_some_and(|token| !token.is('}')) {
                    i = walk(tokens, i, prefix.clone(), found);
                    // Past `as name` and the comma.
                    while tokens.get(i).is_some_and(|token| !token.is('}') && !token.is(',')) {
                        i += 1;
                    }
                    i += usize::from(tokens.get(i).is_some_and(|token| token.is(',')));
                }
                return i + 1;
            }
            Kind::Word(word) if word == "super" => {
                prefix.pop();
            }
            Kind::Word(word) if word == "self" => {}
            Kind::Word(word) => prefix.push(word.clone()),
            _ => break,
        }
        match tokens.get(i).map(|token| &token.kind) {
            Some(Kind::Colons) => i += 1,
            _ => break,
        }
    }
    found.push((line, prefix));
    i
}

/// Modules that a file under `src` is: `["gpu", "buffer"]` for `gpu/buffer.rs`.
fn modules(file: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        file.with_extension("").components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if names.last().is_some_and(|name| name == "mod") || names == ["lib"] || names == ["main"] {
        names.pop();
    }
    names
}

/// What is wrong with the source of `file` (relative to `src`), as `(line, why)`.
fn faults(file: &Path, source: &str) -> Vec<(usize, String)> {
    let tokens = tokens(source);
    let modules = modules(file);
    let mut faults = platform_faults(&modules, file, &tokens);
    let Some(room) = modules.first().cloned() else { return faults };
    let Some(own) = floor(&room) else {
        faults.push((1, format!("room `{room}` has no floor: give it one in tests/floors.rs")));
        return faults;
    };

    let in_test_file = modules.last().is_some_and(|name| name == "tests");
    // The inline modules around a token: name, depth of braces outside, whether under cfg(test).
    let mut inline: Vec<(String, usize, bool)> = Vec::new();
    let (mut depth, mut test_ahead) = (0, false);
    for (i, token) in tokens.iter().enumerate() {
        let ahead = |steps: usize| tokens.get(i + steps);
        let test = in_test_file || inline.last().is_some_and(|(_, _, test)| *test);
        match &token.kind {
            Kind::Sign('{') => {
                if let (Some(keyword), Some(name)) = (i.checked_sub(2), i.checked_sub(1))
                    && tokens[keyword].word() == Some("mod")
                {
                    inline.push((tokens[name].word().unwrap_or("").to_owned(), depth, test || test_ahead));
                }
                test_ahead = false;
                depth += 1;
            }
            Kind::Sign('}') => {
                depth = depth.saturating_sub(1);
                if inline.last().is_some_and(|(_, outside, _)| *outside == depth) {
                    inline.pop();
                }
            }
            Kind::Sign(';') => test_ahead = false,
            Kind::Word(word) if word == "cfg" && i >= 2 && tokens[i - 2].is('#') => {
                let condition = tokens[i..].iter().take_while(|token| !token.is(']'));
                let words: Vec<&str> = condition.filter_map(Token::word).collect();
                test_ahead |= words.contains(&"test") && !words.contains(&"not");
            }
            Kind::Word(word) if ["crate", "super", "self"].contains(&word.as_str()) => {
                let starts = i == 0 || tokens[i - 1].kind != Kind::Colons;
                let path = ahead(1).is_some_and(|next| next.kind == Kind::Colons);
                let renamed = word == "crate" && ahead(1).and_then(Token::word) == Some("as");
                if !starts || !(path || renamed) {
                    continue;
                }
                let mut found = Vec::new();
                if renamed {
                    found.push((token.line, Vec::new()));
                } else if word == "crate" {
                    walk(&tokens, i + 2, Vec::new(), &mut found);
                } else {
                    let here = modules.iter().cloned().chain(inline.iter().map(|(name, _, _)| name.clone()));
                    walk(&tokens, i, here.collect(), &mut found);
                }
                for (line, target) in found {
                    faults.extend(import_fault(&room, own, target.first(), test).map(|why| (line, why)));
                }
            }
            _ => {}
        }
    }
    faults.sort();
    faults.dedup();
    faults
}

/// Why `room` on floor `own` may not import from `target`, or `None` where it may.
fn import_fault(room: &str, own: u32, target: Option<&String>, test: bool) -> Option<String> {
    let Some(target) = target else {
        return Some(format!("room `{room}` takes in the whole crate: name the room it needs"));
    };
    let Some(theirs) = floor(target) else {
        return Some(format!(
            "`{room}` imports `crate::{target}`, which is no room: import from a room, or give it a floor in \
             tests/floors.rs"
        ));
    };
    let neighbour = NEIGHBOURS.contains(&(room, target.as_str())) || test && theirs == own;
    (room != target && theirs >= own && !neighbour).then(|| {
        format!(
            "`{room}` (floor {own}) imports `crate::{target}` (floor {theirs}): a room imports only from floors \
             below it"
        )
    })
}

/// Conditions on the platform outside the one room made for them; `lib.rs` says which rooms a platform has.
fn platform_faults(modules: &[String], file: &Path, tokens: &[Token]) -> Vec<(usize, String)> {
    if modules.first().is_some_and(|room| room == "platform") || ["main.rs", "lib.rs"].map(Path::new).contains(&file) {
        return Vec::new();
    }
    let condition = |three: &&[Token]| {
        matches!(three[0].word(), Some("target_arch" | "target_family"))
            && three[1].is('=')
            && matches!(&three[2].kind, Kind::Text(text) if text.starts_with("wasm"))
    };
    tokens
        .windows(3)
        .filter(condition)
        .map(|three| (three[0].line, "condition on wasm: platform differences belong in src/platform".to_owned()))
        .collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The files with this ending below a folder of the repository, with paths relative to it.
fn files(folder: &str, ending: &str) -> Vec<(PathBuf, String)> {
    let base = root().join(folder);
    let mut found: Vec<(PathBuf, String)> = walkdir::WalkDir::new(&base)
        .sort_by_file_name()
        .into_iter()
        .map(|entry| entry.expect("a readable folder").into_path())
        .filter(|path| path.extension().is_some_and(|e| e == ending))
        .map(|path| (path.strip_prefix(&base).expect("below").to_owned(), fs::read_to_string(&path).expect("text")))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no .{ending} file in {}", base.display());
    found
}

fn assert_none(what: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{what}:\n  {}\n", faults.join("\n  "));
}

#[test]
fn no_import_goes_up_a_floor() {
    let found: Vec<String> = files("src", "rs")
        .iter()
        .flat_map(|(file, source)| {
            faults(file, source).into_iter().map(|(line, why)| format!("src/{}:{line}: {why}", file.display()))
        })
        .collect();
    assert_none("the floor plan is broken", &found);
}

#[test]
fn no_file_is_too_long() {
    let found: Vec<String> = [("src", "rs"), ("shaders", "wgsl")]
        .iter()
        .flat_map(|(folder, ending)| files(folder, ending).into_iter().map(move |(file, text)| (folder, file, text)))
        .filter(|(_, _, text)| text.lines().count() > MAX_LINES)
        .map(|(folder, file, text)| {
            let lines = text.lines().count();
            format!("{folder}/{}:{}: {lines} lines, at most {MAX_LINES}: split it", file.display(), MAX_LINES + 1)
        })
        .collect();
    assert_none("files are too long", &found);
}

#[test]
fn every_shader_has_an_op_and_a_header() {
    let ops = files("src/ops", "rs");
    let named: BTreeSet<String> = ops
        .iter()
        .flat_map(|(_, source)| tokens(source))
        .filter_map(|token| if let Kind::Text(text) = token.kind { Some(text) } else { None })
        .collect();
    let mut found = Vec::new();
    for (file, source) in files("shaders", "wgsl") {
        let shown = file.display();
        if !source.starts_with("//") {
            found.push(format!("shaders/{shown}:1: no `//` header that says what it computes"));
        }
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        let is_piece = file.starts_with("lib");
        if !is_piece && !ops.iter().any(|(op, _)| op.file_stem() == file.file_stem()) && !named.contains(&name) {
            found.push(format!("shaders/{shown}:1: no src/ops/{name}.rs, and no op launches \"{name}\""));
        }
    }
    assert_none("shaders stand alone", &found);
}

/// Lines at which `source`, as `file`, breaks the plan.
fn fault_lines(file: &str, source: &str) -> Vec<usize> {
    faults(Path::new(file), source).into_iter().map(|(line, _)| line).collect()
}

#[test]
fn the_checker_reports_imports_that_go_up() {
    let source = "\
use crate::platform::signal;
use crate::train::Trainer;
use crate::{
    shaders,
    graph::{Graph, Var as V},
    gpu::Gpu,
};
fn f() { crate::ops::add(r#\"crate::cli\"#, 'x', \"crate::cli\") }
use super::super::mae;
use super::device::{self, Device};
";
    assert_eq!(fault_lines("gpu/buffer.rs", source), [2, 5, 8, 9]);
    let faults = faults(Path::new("gpu/buffer.rs"), source);
    assert_eq!(
        faults[0].1,
        "`gpu` (floor 0) imports `crate::train` (floor 5): a room imports only from floors below it"
    );

    // `super` counts from where it stands.
    assert_eq!(fault_lines("gpu/mod.rs", "use super::nn;"), [1]);
    assert_eq!(fault_lines("gpu/mod.rs", "mod inner { use super::nn; }\nuse super::nn;"), [2]);
    assert_eq!(fault_lines("shaders.rs", "use self::super::gpu::Gpu;"), [1]);
    assert_eq!(fault_lines("nn/mod.rs", "use {crate::ops, super::mae};"), [1]);

    // Aliases and globs of the root would hide what is imported, and unknown rooms have no floor.
    assert_eq!(fault_lines("nn/block.rs", "use crate as c;\nuse crate::*;\nuse super::super::*;"), [1, 2, 3]);
    assert_eq!(fault_lines("nn/block.rs", "use crate::Trainer;"), [1]);
    assert_eq!(fault_lines("attic/mod.rs", ""), [1]);
}

#[test]
fn the_checker_lets_pass_what_goes_down() {
    let source = "\
//! See [`crate::cli`] and crate::session.
/* crate::cli /* nested */ crate::cli */
use crate::eval::run_case;
use super::recipe::Recipe;
pub(crate) fn f<'a>(x: &'a str) -> char { let _ = crate::mae::Model::<u8>::new; self::g(); '\\'' }
";
    assert_eq!(fault_lines("train/trainer.rs", source), [0; 0]);
    // Rooms of one floor do not import each other, but their tests may.
    assert_eq!(fault_lines("eval/mod.rs", "use crate::train::Recipe;"), [1]);
    assert_eq!(fault_lines("data/mod.rs", "#[cfg(test)]\nmod tests {\n    use crate::weights::Tensors;\n}"), [0; 0]);
    assert_eq!(fault_lines("data/mod.rs", "#[cfg(test)]\nmod tests {\n    use crate::ops::add;\n}"), [3]);
    assert_eq!(fault_lines("data/mod.rs", "#[cfg(not(test))]\nmod a { use crate::weights::Tensors; }"), [2]);
    assert_eq!(fault_lines("main.rs", "use crate::anything;"), [0; 0]);
}

#[test]
fn the_checker_reports_conditions_on_the_platform() {
    let source = "// cfg(target_arch = \"wasm32\")\nconst A: &str = \"target_arch = wasm32\";\n\
                  #[cfg(not(target_arch = \"wasm32\"))]\nfn f() {}\n";
    assert_eq!(fault_lines("gpu/device.rs", source), [3]);
    assert_eq!(fault_lines("lib.rs", source), [0; 0]);
    assert_eq!(fault_lines("platform/clock.rs", source), [0; 0]);
    assert_eq!(fault_lines("main.rs", source), [0; 0]);
}
