//! Lists the files that come with the program as a Rust table, so that they travel inside it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Writes to `out` a Rust source file that defines `ASSETS: &[(&str, &[u8])]`: name and bytes of the weights and
/// photographs under `assets`, sorted by name. `web/build.mjs` packs the same files for pages.
///
/// # Errors
/// When `assets` cannot be listed or holds no photograph, or `out` cannot be written.
pub fn generate(assets: &Path, out: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    list(&assets.join("photos"), "photos", "jpg", &mut files)?;
    if files.is_empty() {
        let message = format!("{}: expected photos/CLASS/*.jpg, found none", assets.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    }
    list(&assets.join("weights"), "weights", "safetensors", &mut files)?;
    files.sort();
    let mut table = String::from(
        "/// Name and bytes of each file, sorted by name.\n\
         static ASSETS: &[(&str, &[u8])] = &[\n",
    );
    for (name, path) in files {
        let path = fs::canonicalize(path)?;
        table += &format!("    ({name:?}, include_bytes!({path:?})),\n");
    }
    table += "];\n";
    fs::write(out, table)
}

/// Adds name and path of each file below `folder` that ends in `ending`, in no particular order.
fn list(folder: &Path, prefix: &str, ending: &str, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let name = format!("{prefix}/{name}");
        if path.is_dir() {
            list(&path, &name, ending, files)?;
        } else if path.extension().is_some_and(|extension| extension == ending) {
            files.push((name, path));
        }
    }
    Ok(())
}
