//! Small texts that are worth keeping between runs although nothing is lost with them, such as measurements.

/// What was remembered under `name`, if anything.
#[cfg(not(target_arch = "wasm32"))]
pub fn recall(name: &str) -> Option<String> {
    std::fs::read_to_string(folder()?.join(name)).ok()
}

/// Remembers `text` under `name`: in the user's cache folder, or in that named by `UNMASK_CACHE`.
#[cfg(not(target_arch = "wasm32"))]
pub fn remember(name: &str, text: &str) {
    let Some(folder) = folder() else { return };
    let written =
        std::fs::create_dir_all(&folder).and_then(|()| super::write_whole(&folder.join(name), text.as_bytes()));
    if let Err(error) = written {
        log::debug!("{name} is not remembered in {}: {error}", folder.display());
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn folder() -> Option<std::path::PathBuf> {
    match super::variable("UNMASK_CACHE") {
        Some(folder) => Some(folder.into()),
        None => Some(dirs::cache_dir()?.join("unmask")),
    }
}

/// What was remembered under `name`, if anything.
#[cfg(target_arch = "wasm32")]
pub fn recall(name: &str) -> Option<String> {
    storage()?.get_item(&format!("unmask {name}")).ok()?
}

/// Remembers `text` under `name`, in the browser's storage for this page.
#[cfg(target_arch = "wasm32")]
pub fn remember(name: &str, text: &str) {
    if let Some(Err(error)) = storage().map(|storage| storage.set_item(&format!("unmask {name}"), text)) {
        log::debug!("{name} is not remembered: {error:?}");
    }
}

#[cfg(target_arch = "wasm32")]
fn storage() -> Option<web_sys::Storage> {
    web_sys::window()?.local_storage().ok()?
}
