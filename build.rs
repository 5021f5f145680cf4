//! Links the shaders and lists the files that come with the program.

use std::env;
use std::error::Error;
use std::path::PathBuf;

#[path = "build/assets.rs"]
mod assets;
#[path = "build/shaders.rs"]
mod shaders;

fn main() {
    if let Err(error) = generate() {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn generate() -> Result<(), Box<dyn Error>> {
    for path in ["build.rs", "build", "shaders", "assets"] {
        println!("cargo::rerun-if-changed={path}");
    }
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let browser = env::var("CARGO_CFG_TARGET_ARCH")? == "wasm32";
    shaders::generate(&root.join("shaders"), &out, browser)?;
    assets::generate(&root.join("assets"), &out.join("assets.rs"))?;
    Ok(())
}
