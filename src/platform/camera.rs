//! The camera, which a page's script opens.

/// Whether there may be a camera.
pub const HAS_CAMERA: bool = cfg!(target_arch = "wasm32");

/// Turns the camera on or off. Its frames come the way that files do.
#[cfg(not(target_arch = "wasm32"))]
pub fn set_camera(_on: bool) {}

/// Turns the camera on or off, by the function `unmaskCamera` of the page. Its frames come the way that files do.
#[cfg(target_arch = "wasm32")]
pub fn set_camera(on: bool) {
    use wasm_bindgen::{JsCast as _, JsValue};
    let helper = js_sys::Reflect::get(&js_sys::global(), &JsValue::from_str("unmaskCamera"));
    if let Some(helper) = helper.ok().and_then(|helper| helper.dyn_into::<js_sys::Function>().ok()) {
        // The helper reports its own failures.
        let _ = helper.call1(&JsValue::NULL, &JsValue::from_bool(on));
    }
}
