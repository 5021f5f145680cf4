//! What the page's script does for the app.

use wasm_bindgen::{JsCast as _, JsValue};

/// A function that the page offers; other pages than the app's have none.
pub(super) fn helper(name: &str) -> Option<js_sys::Function> {
    js_sys::Reflect::get(&js_sys::global(), &JsValue::from_str(name)).ok()?.dyn_into().ok()
}
