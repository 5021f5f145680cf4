//! The camera, which a page's script opens.

/// Whether there may be a camera.
pub const HAS_CAMERA: bool = cfg!(target_arch = "wasm32");

/// Turns the camera on or off. Its frames come the way that files do.
#[cfg(not(target_arch = "wasm32"))]
pub fn set_camera(_on: bool) {}

/// Turns the camera on or off, by the function `unmaskCamera` of the page. Its frames come the way that files do.
#[cfg(target_arch = "wasm32")]
pub fn set_camera(on: bool) {
    if let Some(helper) = super::helper::helper("unmaskCamera") {
        // The helper reports its own failures.
        let _ = helper.call1(&wasm_bindgen::JsValue::NULL, &wasm_bindgen::JsValue::from_bool(on));
    }
}
