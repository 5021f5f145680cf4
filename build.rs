//! Links the shaders.

use std::path::PathBuf;

#[path = "build/shaders.rs"]
mod shaders;

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=shaders");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or_else(|| std::io::Error::other("OUT_DIR is not set"))?);
    shaders::generate("shaders".as_ref(), &out)
}
