//! What a browser keeps of a run between visits; the desktop has run folders.

/// Whether runs without a folder are kept.
pub const KEEPS: bool = cfg!(target_arch = "wasm32");

/// Folders keep runs here.
#[cfg(not(target_arch = "wasm32"))]
pub fn keep(_run: &[u8]) {}

/// Folders keep runs here.
#[cfg(not(target_arch = "wasm32"))]
pub fn run_began() {}

/// Folders keep runs here.
#[cfg(not(target_arch = "wasm32"))]
pub fn leave_kept() {}

/// Keeps the state of a run in place of the one kept before, by the function `unmaskKeep` of the page.
#[cfg(target_arch = "wasm32")]
pub fn keep(run: &[u8]) {
    if let Some(helper) = super::helper::helper("unmaskKeep") {
        // The helper reports its own failures.
        let _ = helper.call1(&wasm_bindgen::JsValue::NULL, &js_sys::Uint8Array::from(run));
    }
}

/// Tells the function `unmaskRunBegan` of the page that there is a run to keep.
#[cfg(target_arch = "wasm32")]
pub fn run_began() {
    if let Some(helper) = super::helper::helper("unmaskRunBegan") {
        // As above.
        let _ = helper.call0(&wasm_bindgen::JsValue::NULL);
    }
}

/// Tells the function `unmaskLeaveKept` of the page that the run which it kept is not gone on with.
#[cfg(target_arch = "wasm32")]
pub fn leave_kept() {
    if let Some(helper) = super::helper::helper("unmaskLeaveKept") {
        // As above.
        let _ = helper.call0(&wasm_bindgen::JsValue::NULL);
    }
}
