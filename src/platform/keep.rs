//! What a browser keeps of a run between visits; the desktop has run folders.

/// Whether runs without a folder are kept.
pub const KEEPS: bool = cfg!(target_arch = "wasm32");

/// Folders keep runs here.
#[cfg(not(target_arch = "wasm32"))]
pub fn keep(_run: &[u8]) {}

/// Keeps the state of a run in place of the one kept before, by the function `unmaskKeep` of the page.
#[cfg(target_arch = "wasm32")]
pub fn keep(run: &[u8]) {
    use wasm_bindgen::{JsCast as _, JsValue};
    let helper = js_sys::Reflect::get(&js_sys::global(), &JsValue::from_str("unmaskKeep"));
    if let Some(helper) = helper.ok().and_then(|helper| helper.dyn_into::<js_sys::Function>().ok()) {
        // The helper reports its own failures.
        let _ = helper.call1(&JsValue::NULL, &js_sys::Uint8Array::from(run));
    }
}
