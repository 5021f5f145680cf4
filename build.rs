//! Links the shaders and lists the sample photographs.

use std::env;
use std::error::Error;
use std::path::PathBuf;

#[path = "build/photos.rs"]
mod photos;
#[path = "build/shaders.rs"]
mod shaders;

fn main() {
    if let Err(error) = generate() {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn generate() -> Result<(), Box<dyn Error>> {
    for path in ["build.rs", "build", "shaders", "assets/photos"] {
        println!("cargo::rerun-if-changed={path}");
    }
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    shaders::generate(&root.join("shaders"), &out)?;
    photos::generate(&root.join("assets/photos"), &out.join("photos.rs"))?;
    Ok(())
}
