//! What the scripts of a page call: the app on a canvas, and models without one.

mod app;
#[cfg(feature = "turns")]
mod bench;
mod engine;
mod train;

use std::cell::RefCell;

use wasm_bindgen::prelude::*;

use crate::platform;

pub use app::Page;
#[cfg(feature = "turns")]
pub use bench::PageTurns;
pub use engine::{Engine, Rebuilt};

thread_local! {
    static ON_PANIC: RefCell<Option<js_sys::Function>> = const { RefCell::new(None) };
}

/// Sends the log to the console, and the text of a panic to `on_panic`. To be called before anything else; of
/// several calls, as several copies of the page's module make them, the last one counts.
#[wasm_bindgen]
pub fn init(on_panic: js_sys::Function) {
    // A second call finds the logger of the first.
    let _ = eframe::WebLogger::init(log::LevelFilter::Warn);
    ON_PANIC.set(Some(on_panic));
    std::panic::set_hook(Box::new(|info| {
        let text = JsValue::from_str(&info.to_string());
        ON_PANIC.with_borrow(|function| {
            if let Some(function) = function {
                // Whatever it throws, the panic goes on.
                let _ = function.call1(&JsValue::NULL, &text);
            }
        });
    }));
}

/// Takes up the pack of weights and photographs, before the app starts; one that comes later is not needed.
#[wasm_bindgen(js_name = provideAssets)]
pub fn provide_assets(pack: Vec<u8>) -> Result<(), JsError> {
    platform::provide_assets(pack).map_err(|error| JsError::new(&error))
}

/// Fails unless `pixels` are a picture of RGBA.
fn check_pixels(width: u32, height: u32, pixels: &[u8]) -> Result<(), JsError> {
    match pixels.is_empty() || pixels.len() as u64 != u64::from(width) * u64::from(height) * 4 {
        true => Err(JsError::new(&format!("{} bytes are no RGBA picture of {width} x {height}", pixels.len()))),
        false => Ok(()),
    }
}
