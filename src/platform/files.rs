//! Files that people choose or drop onto the window: by path on the desktop, by handle in the tab.

use std::path::PathBuf;

/// Bytes of files that a page takes up at once: what it holds lies in 4 GiB of memory with everything else.
#[cfg(target_arch = "wasm32")]
pub const MOST_GIVEN: f64 = (1u64 << 30) as f64;

/// A file that came in.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Its name, with its path where there is one.
    pub name: String,
    /// What it holds, or why that cannot be read.
    pub content: Result<Content, String>,
}

/// What a file holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// All its bytes.
    Bytes(Vec<u8>),
    /// What is to be read where it lies, as what lies beside it counts too; on the desktop only.
    Path(PathBuf),
}

/// Whether a file is to be read where it lies, by its name.
pub type StaysThere = fn(&str) -> bool;

/// Asks for files whose names end in one of `extensions` and hands them to `done`; not called if the user cancels.
#[cfg(not(target_arch = "wasm32"))]
pub fn pick_files(
    title: &str,
    extensions: &[&str],
    stays: StaysThere,
    done: impl FnOnce(Vec<Incoming>) + Send + 'static,
) {
    let dialog = rfd::AsyncFileDialog::new().set_title(title).add_filter(title, extensions).pick_files();
    let spawned = super::spawn(move || async move {
        let Some(handles) = dialog.await else { return };
        let read = |handle: &rfd::FileHandle| {
            let path = handle.path().to_owned();
            incoming(path, stays, || std::fs::read(handle.path()).map_err(|error| error.to_string()))
        };
        done(handles.iter().map(read).collect());
    });
    if let Err(error) = spawned {
        log::error!("the file dialog has no thread: {error}");
    }
}

/// What comes of `count` files of `bytes` in all, of which `first` is one, where a page cannot hold them.
#[cfg(target_arch = "wasm32")]
fn too_many(first: Option<String>, count: usize, bytes: f64) -> Option<Incoming> {
    let gigabytes = |bytes: f64| format!("{:.1} GB", bytes / 1e9);
    let first = first.filter(|_| bytes > MOST_GIVEN)?;
    Some(Incoming {
        name: if count > 1 { format!("{first} and {} more", count - 1) } else { first },
        content: Err(format!(
            "{} where a page can hold {}. Choose less, or open them in the desktop window, which reads files where they \
             lie",
            gigabytes(bytes),
            gigabytes(MOST_GIVEN)
        )),
    })
}

/// Asks for files whose names end in one of `extensions` and hands them to `done`; not called if the user cancels.
#[cfg(target_arch = "wasm32")]
pub fn pick_files(
    _title: &str,
    extensions: &[&str],
    _stays: StaysThere,
    done: impl FnOnce(Vec<Incoming>) + Send + 'static,
) {
    use wasm_bindgen::JsCast as _;
    use wasm_bindgen::prelude::Closure;

    let element = web_sys::window().and_then(|window| window.document()).map(|page| page.create_element("input"));
    let Some(Ok(element)) = element else { return };
    let input: web_sys::HtmlInputElement = element.unchecked_into();
    input.set_type("file");
    input.set_multiple(true);
    input.set_accept(&extensions.iter().map(|extension| format!(".{extension}")).collect::<Vec<_>>().join(","));
    let source = input.clone();
    let chosen = Closure::once_into_js(move || {
        wasm_bindgen_futures::spawn_local(async move {
            let Some(list) = source.files() else { return };
            let chosen: Vec<web_sys::File> = (0..list.length()).filter_map(|index| list.get(index)).collect();
            let sizes = chosen.iter().map(|file| file.size()).sum();
            if let Some(refused) = too_many(chosen.first().map(|file| file.name()), chosen.len(), sizes) {
                return done(vec![refused]);
            }
            let mut files = Vec::new();
            for file in chosen {
                let bytes = wasm_bindgen_futures::JsFuture::from(file.array_buffer()).await;
                let content = bytes.map(|buffer| Content::Bytes(js_sys::Uint8Array::new(&buffer).to_vec()));
                files.push(Incoming { name: file.name(), content: content.map_err(|error| format!("{error:?}")) });
            }
            done(files);
        });
    });
    input.set_onchange(Some(chosen.unchecked_ref()));
    input.click();
}

/// The file at `path`, as it comes in.
#[cfg(not(target_arch = "wasm32"))]
fn incoming(path: PathBuf, stays: StaysThere, read: impl FnOnce() -> Result<Vec<u8>, String>) -> Incoming {
    let name = path.display().to_string();
    let content = match stays(&name) && path.is_file() {
        true => Ok(Content::Path(path)),
        false => read().map(Content::Bytes),
    };
    Incoming { name, content }
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

/// Asks where to save what `bytes` makes, as `name` unless told otherwise, and tells `done` where it lies or why not;
/// neither is called if the user cancels.
#[cfg(not(target_arch = "wasm32"))]
pub fn save_file(
    name: &str,
    bytes: impl FnOnce() -> Result<Vec<u8>, String> + Send + 'static,
    done: impl FnOnce(Result<String, String>) + Send + 'static,
) {
    let dialog = rfd::AsyncFileDialog::new().set_file_name(name).save_file();
    let spawned = super::spawn(move || async move {
        let Some(handle) = dialog.await else { return };
        done(match bytes() {
            Ok(bytes) => {
                let written = super::write_whole(handle.path(), &bytes);
                written.map(|()| handle.file_name()).map_err(|error| error.to_string())
            }
            Err(error) => Err(error),
        });
    });
    if let Err(error) = spawned {
        log::error!("the file dialog has no thread: {error}");
    }
}

/// Downloads what `bytes` makes as the file `name` and tells `done` its name, or why that failed.
#[cfg(target_arch = "wasm32")]
pub fn save_file(
    name: &str,
    bytes: impl FnOnce() -> Result<Vec<u8>, String> + Send + 'static,
    done: impl FnOnce(Result<String, String>) + Send + 'static,
) {
    let offered = |bytes: Vec<u8>| download(name, &bytes).map_err(|error| format!("{error:?}"));
    done(bytes().and_then(offered).map(|()| name.to_owned()));
}

#[cfg(target_arch = "wasm32")]
fn download(name: &str, bytes: &[u8]) -> Result<(), wasm_bindgen::JsValue> {
    use wasm_bindgen::JsCast as _;

    let parts = js_sys::Array::of1(&js_sys::Uint8Array::from(bytes));
    let address = web_sys::Url::create_object_url_with_blob(&web_sys::Blob::new_with_u8_array_sequence(&parts)?)?;
    let page = web_sys::window().and_then(|window| window.document()).ok_or("there is no page")?;
    let link: web_sys::HtmlAnchorElement = page.create_element("a")?.unchecked_into();
    link.set_href(&address);
    link.set_download(name);
    link.click();
    // The browser holds what it is downloading.
    web_sys::Url::revoke_object_url(&address)
}

/// Reads files dropped onto the window and hands them to `done`.
#[cfg(not(target_arch = "wasm32"))]
pub fn read_dropped(
    files: Vec<eframe::egui::DroppedFileHandle>,
    stays: StaysThere,
    done: impl FnOnce(Vec<Incoming>) + Send + 'static,
) {
    let spawned = super::spawn(move || async move {
        let read = |file: &eframe::egui::DroppedFileHandle| incoming(file.path().to_owned(), stays, || file.bytes());
        done(files.iter().map(read).collect());
    });
    if let Err(error) = spawned {
        log::error!("dropped files cannot be read: {error}");
    }
}

/// Reads files dropped onto the page and hands them to `done`.
#[cfg(target_arch = "wasm32")]
pub fn read_dropped(
    files: Vec<eframe::egui::DroppedFileHandle>,
    _stays: StaysThere,
    done: impl FnOnce(Vec<Incoming>) + Send + 'static,
) {
    wasm_bindgen_futures::spawn_local(async move {
        let sizes = files.iter().filter_map(|file| file.web_file()).map(|file| file.size()).sum();
        let first = files.first().map(|file| file.path().display().to_string());
        if let Some(refused) = too_many(first, files.len(), sizes) {
            return done(vec![refused]);
        }
        let mut read = Vec::with_capacity(files.len());
        for file in &files {
            let content = file.bytes_async().await.map(Content::Bytes);
            read.push(Incoming { name: file.path().display().to_string(), content });
        }
        done(read);
    });
}
