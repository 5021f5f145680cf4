#[path = "build/photos.rs"]
mod photos;

use std::env;
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build/photos.rs");
    println!("cargo::rerun-if-changed=assets/photos");
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    photos::generate(&root.join("assets/photos"), &out.join("photos.rs"))?;
    Ok(())
}
