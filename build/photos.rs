//! Lists the sample photographs as a Rust table, so that they travel inside the program.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Writes to `out` a Rust source file that defines `PHOTOS: &[(&str, &[u8])]`: the name
/// (`CLASS/FILE.jpg`) and the bytes of each photograph under `assets`, sorted by name.
///
/// # Errors
/// When `assets` cannot be listed or holds no photograph, or `out` cannot be written.
pub fn generate(assets: &Path, out: &Path) -> io::Result<()> {
    let mut photos = list(assets)?;
    if photos.is_empty() {
        let message = format!("{}: expected CLASS/*.jpg, found none", assets.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    }
    photos.sort();
    let mut table = String::from(
        "/// Name and JPEG bytes of each sample photograph, sorted by name.\n\
         pub static PHOTOS: &[(&str, &[u8])] = &[\n",
    );
    for (name, path) in photos {
        let path = fs::canonicalize(path)?;
        table += &format!("    ({name:?}, include_bytes!({path:?})),\n");
    }
    table += "];\n";
    fs::write(out, table)
}

/// Name and path of each `assets/CLASS/*.jpg`, in no particular order.
fn list(assets: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut photos = Vec::new();
    for class in fs::read_dir(assets)? {
        let class = class?;
        if !class.file_type()?.is_dir() {
            continue;
        }
        for photo in fs::read_dir(class.path())? {
            let path = photo?.path();
            if path.extension().is_some_and(|extension| extension == "jpg")
                && let (Some(class), Some(file)) =
                    (class.file_name().to_str(), path.file_name().and_then(|f| f.to_str()))
            {
                photos.push((format!("{class}/{file}"), path.clone()));
            }
        }
    }
    Ok(photos)
}
