//! Links every `shaders/*.wgsl` with the pieces of `shaders/lib` it imports.
//!
//! A shader lists its conditions on a line `// conditions: A B`; every subset of them is linked, so that a kernel
//! is chosen at run time by name and conditions, and tests can go through all of them.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use wesl::{ManglerKind, ModulePath, Wesl};

/// Writes `shaders.rs`, a table of (name, conditions, WGSL), to `out`.
pub fn generate(shaders: &Path, out: &Path) -> io::Result<()> {
    let mut names: Vec<String> = fs::read_dir(shaders)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".wgsl").map(str::to_owned))
        .collect();
    names.sort();

    let mut table = String::from("pub(crate) static LINKED: &[(&str, &str, &str)] = &[\n");
    for name in &names {
        let source = fs::read_to_string(shaders.join(format!("{name}.wgsl")))?;
        let conditions: Vec<&str> = source
            .lines()
            .find_map(|line| line.strip_prefix("// conditions:"))
            .map(|list| list.split_whitespace().collect())
            .unwrap_or_default();
        for subset in 0..1u32 << conditions.len() {
            let chosen: Vec<&str> =
                (0..conditions.len()).filter(|bit| subset >> bit & 1 == 1).map(|bit| conditions[bit]).collect();
            let wgsl = link(shaders, name, &conditions, &chosen)?;
            writeln!(table, "    ({name:?}, {:?}, {wgsl:?}),", chosen.join("+")).map_err(io::Error::other)?;
        }
    }
    table.push_str("];\n");
    fs::write(out.join("shaders.rs"), table)
}

fn link(shaders: &Path, name: &str, conditions: &[&str], chosen: &[&str]) -> io::Result<String> {
    let path: ModulePath =
        format!("package::{name}").parse().map_err(|error| io::Error::other(format!("shader {name}: {error:?}")))?;
    let mut linker = Wesl::new(shaders);
    linker.set_mangler(ManglerKind::None);
    for condition in conditions {
        linker.set_feature(condition, chosen.contains(condition));
    }
    let linked =
        linker.compile(&path).map_err(|error| io::Error::other(format!("shader {name} {chosen:?}: {error}")))?;
    Ok(linked.to_string())
}
