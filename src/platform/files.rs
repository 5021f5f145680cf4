//! Files that people choose or drop onto the window: by path on the desktop, by handle in the tab.

use std::path::PathBuf;

/// A file that came in.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Its name, with its path where there is one.
    pub name: String,
    /// Its bytes, or why they cannot be read.
    pub bytes: Result<Vec<u8>, String>,
}

/// Asks for files whose names end in one of `extensions` and hands them to `done`; not called if the user cancels.
pub fn pick_files(title: &str, extensions: &[&str], done: impl FnOnce(Vec<Incoming>) + Send + 'static) {
    let dialog = rfd::AsyncFileDialog::new().set_title(title).add_filter(title, extensions).pick_files();
    let spawned = super::spawn(move || async move {
        let Some(handles) = dialog.await else { return };
        let mut files = Vec::with_capacity(handles.len());
        for handle in handles {
            files.push(read(&handle).await);
        }
        done(files);
    });
    if let Err(error) = spawned {
        log::error!("the file dialog has no thread: {error}");
    }
}

#[cfg(not(target_arch = "wasm32"))]
async fn read(handle: &rfd::FileHandle) -> Incoming {
    let path = handle.path();
    Incoming { name: path.display().to_string(), bytes: std::fs::read(path).map_err(|error| error.to_string()) }
}

#[cfg(target_arch = "wasm32")]
async fn read(handle: &rfd::FileHandle) -> Incoming {
    Incoming { name: handle.file_name(), bytes: Ok(handle.read().await) }
}

/// Whether folders can be chosen and written here.
pub const HAS_FOLDERS: bool = cfg!(not(target_arch = "wasm32"));

/// Asks for a folder and hands it to `done`; not called if the user cancels.
#[cfg(not(target_arch = "wasm32"))]
pub fn pick_folder(title: &str, done: impl FnOnce(PathBuf) + Send + 'static) {
    let dialog = rfd::AsyncFileDialog::new().set_title(title).pick_folder();
    let spawned = super::spawn(move || async move {
        if let Some(folder) = dialog.await {
            done(folder.path().to_owned());
        }
    });
    if let Err(error) = spawned {
        log::error!("the folder dialog has no thread: {error}");
    }
}

/// Pages cannot open folders: `done` is never called.
#[cfg(target_arch = "wasm32")]
pub fn pick_folder(_title: &str, _done: impl FnOnce(PathBuf) + Send + 'static) {}

/// Asks where to save `bytes`, as `name` unless told otherwise, and tells `done` where they lie or why not; not called
/// if the user cancels. A page downloads them.
pub fn save_file(name: &str, bytes: Vec<u8>, done: impl FnOnce(Result<String, String>) + Send + 'static) {
    let dialog = rfd::AsyncFileDialog::new().set_file_name(name).save_file();
    let spawned = super::spawn(move || async move {
        if let Some(handle) = dialog.await {
            let name = handle.file_name();
            done(handle.write(&bytes).await.map(|()| name).map_err(|error| error.to_string()));
        }
    });
    if let Err(error) = spawned {
        log::error!("the file dialog has no thread: {error}");
    }
}

/// Reads files dropped onto the window and hands them to `done`.
#[cfg(not(target_arch = "wasm32"))]
pub fn read_dropped(files: Vec<eframe::egui::DroppedFileHandle>, done: impl FnOnce(Vec<Incoming>) + Send + 'static) {
    let spawned = super::spawn(move || async move {
        let read = |file: &eframe::egui::DroppedFileHandle| Incoming {
            name: file.path().display().to_string(),
            bytes: file.bytes(),
        };
        done(files.iter().map(read).collect());
    });
    if let Err(error) = spawned {
        log::error!("dropped files cannot be read: {error}");
    }
}

/// Reads files dropped onto the page and hands them to `done`.
#[cfg(target_arch = "wasm32")]
pub fn read_dropped(files: Vec<eframe::egui::DroppedFileHandle>, done: impl FnOnce(Vec<Incoming>) + Send + 'static) {
    wasm_bindgen_futures::spawn_local(async move {
        let mut read = Vec::with_capacity(files.len());
        for file in &files {
            read.push(Incoming { name: file.path().display().to_string(), bytes: file.bytes_async().await });
        }
        done(read);
    });
}
