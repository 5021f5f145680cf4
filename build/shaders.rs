//! Links every `shaders/*.wgsl` with the pieces of `shaders/lib` it imports.
//!
//! A shader lists its conditions in its header: `// conditions: A B` links every subset of them, `// one of: A | B+C | -`
//! exactly one of the alternatives (`-` for none). Several such lines multiply; `// never: A+B | C+D` leaves out what has
//! both A and B, or both C and D. So a kernel is chosen at run time by name and conditions, and tests can go through all
//! of them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::panic::resume_unwind;
use std::path::Path;
use std::{fs, io, thread};

use wesl::{CompileOptions, ManglerKind, ModulePath, Wesl};

/// First line of shaders that no browser can compile.
const NATIVE_ONLY: &str = "// native only\n";

/// Writes `shaders.rs`, a table of (name, conditions, WGSL), to `out`, for a browser or not.
pub fn generate(shaders: &Path, out: &Path, browser: bool) -> io::Result<()> {
    let mut names: Vec<String> = fs::read_dir(shaders)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".wgsl").map(str::to_owned))
        .collect();
    names.sort();
    for entry in fs::read_dir(shaders.join("lib"))? {
        let file = entry?.path();
        check_loops(&file.display().to_string(), &fs::read_to_string(&file)?)?;
    }

    // Linkers are built without optimisation, and take seconds together.
    let linked: Vec<io::Result<String>> = thread::scope(|scope| {
        let threads: Vec<_> = names.iter().map(|name| scope.spawn(move || link_all(shaders, name, browser))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    let mut table = String::from("pub(crate) static LINKED: &[(&str, &str, &str)] = &[\n");
    for rows in linked {
        table.push_str(&rows?);
    }
    table.push_str("];\n");
    fs::write(out.join("shaders.rs"), table)
}

/// The rows of the table for shader `name`, none where a browser cannot compile it.
fn link_all(shaders: &Path, name: &str, browser: bool) -> io::Result<String> {
    let source = fs::read_to_string(shaders.join(format!("{name}.wgsl")))?;
    check_loops(name, &source)?;
    let mut rows = String::new();
    if browser && source.starts_with(NATIVE_ONLY) {
        return Ok(rows);
    }
    // The linker does not know the types of extensions; the tests validate every shader again.
    let validate = !source.starts_with(NATIVE_ONLY);
    let variants = variants(&source);
    let conditions: BTreeSet<&str> = variants.iter().flatten().copied().collect();
    for chosen in &variants {
        let wgsl = link(shaders, name, &conditions, chosen, validate)?;
        writeln!(rows, "    ({name:?}, {:?}, {wgsl:?}),", chosen.join("+")).map_err(io::Error::other)?;
    }
    Ok(rows)
}

/// Loops that count with `++` are written out when a kernel is made; a comment says so to readers.
fn check_loops(name: &str, source: &str) -> io::Result<()> {
    let odd = source.lines().find(|line| line.contains("++) {") != line.ends_with("// unrolled"));
    odd.map_or(Ok(()), |line| {
        let reason = "expected `++` in loops marked `// unrolled`, and in no others";
        Err(io::Error::other(format!("shader {name}: {}: {reason}", line.trim())))
    })
}

/// Every choice of conditions that the header of `source` allows.
fn variants(source: &str) -> Vec<Vec<&str>> {
    let mut variants = vec![Vec::new()];
    for line in source.lines().take_while(|line| line.starts_with("//")) {
        let choices: Vec<Vec<&str>> = if let Some(list) = line.strip_prefix("// conditions:") {
            let names: Vec<&str> = list.split_whitespace().collect();
            let subset =
                |bits: u32| (0..names.len()).filter(|bit| bits >> bit & 1 == 1).map(|bit| names[bit]).collect();
            (0..1u32 << names.len()).map(subset).collect()
        } else if let Some(list) = line.strip_prefix("// one of:") {
            alternatives(list)
        } else if let Some(list) = line.strip_prefix("// never:") {
            let never = alternatives(list);
            variants.retain(|chosen: &Vec<&str>| !never.iter().any(|all| all.iter().all(|name| chosen.contains(name))));
            continue;
        } else {
            continue;
        };
        variants = variants
            .iter()
            .flat_map(|chosen| choices.iter().map(|choice| [chosen.as_slice(), choice].concat()))
            .collect();
    }
    variants
}

/// `A | B+C | -` as lists of names.
fn alternatives(list: &str) -> Vec<Vec<&str>> {
    list.split('|').map(|choice| choice.trim().split('+').filter(|name| *name != "-").collect()).collect()
}

fn link(
    shaders: &Path,
    name: &str,
    conditions: &BTreeSet<&str>,
    chosen: &[&str],
    validate: bool,
) -> io::Result<String> {
    let path: ModulePath =
        format!("package::{name}").parse().map_err(|error| io::Error::other(format!("shader {name}: {error:?}")))?;
    let mut linker = Wesl::new(shaders);
    linker.set_options(CompileOptions { validate, ..CompileOptions::default() });
    linker.set_mangler(ManglerKind::None);
    for condition in conditions {
        linker.set_feature(condition, chosen.contains(condition));
    }
    let linked =
        linker.compile(&path).map_err(|error| io::Error::other(format!("shader {name} {chosen:?}: {error}")))?;
    Ok(linked.to_string())
}
