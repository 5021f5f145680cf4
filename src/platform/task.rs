//! Long-running work beside the interface: a thread on the desktop, a task in the tab.

use std::future::Future;

/// Runs the future that `make` returns to its end, on a thread of its own.
#[cfg(not(target_arch = "wasm32"))]
pub fn spawn<F: Future<Output = ()>>(make: impl FnOnce() -> F + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name("session".to_owned()).spawn(|| pollster::block_on(make())).map(drop)
}

/// Runs the future that `make` returns to its end, on the tab's event loop.
#[cfg(target_arch = "wasm32")]
pub fn spawn<F: Future<Output = ()> + 'static>(make: impl FnOnce() -> F + 'static) -> std::io::Result<()> {
    wasm_bindgen_futures::spawn_local(make());
    Ok(())
}

/// Lets `seconds` pass; on the desktop it blocks the calling thread, which is the session's own.
#[cfg(not(target_arch = "wasm32"))]
pub async fn sleep(seconds: f64) {
    std::thread::sleep(std::time::Duration::from_secs_f64(seconds));
}

/// Lets `seconds` pass, and the tab's event loop turn.
#[cfg(target_arch = "wasm32")]
pub async fn sleep(seconds: f64) {
    use wasm_bindgen::{JsCast, JsValue};
    let promise = js_sys::Promise::new(&mut |resolve, _| {
        let timer = js_sys::Reflect::get(&js_sys::global(), &JsValue::from_str("setTimeout"));
        if let Some(timer) = timer.ok().and_then(|timer| timer.dyn_into::<js_sys::Function>().ok()) {
            // A timer that cannot be set resolves never; setTimeout does not fail on a function and a number.
            let _ = timer.call2(&JsValue::NULL, &resolve, &JsValue::from_f64(seconds * 1000.0));
        }
    });
    let _ = wasm_bindgen_futures::JsFuture::from(promise).await;
}

/// Waits a millisecond for another thread; false where there is none to wait for.
#[cfg(not(target_arch = "wasm32"))]
pub fn nap() -> bool {
    std::thread::sleep(std::time::Duration::from_millis(1));
    true
}

/// A page has no other thread to wait for.
#[cfg(target_arch = "wasm32")]
pub fn nap() -> bool {
    false
}

/// Lets others run: on a thread of one's own whoever drives the future, who may give it up here.
#[cfg(not(target_arch = "wasm32"))]
pub async fn pause() {
    let mut paused = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut paused, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

/// Lets the tab's event loop turn once. A message, unlike a timer, is delivered at once and in hidden tabs too.
#[cfg(target_arch = "wasm32")]
pub async fn pause() {
    use wasm_bindgen::JsValue;
    let Ok(channel) = web_sys::MessageChannel::new() else { return sleep(0.0).await };
    let promise = js_sys::Promise::new(&mut |resolve, _| channel.port1().set_onmessage(Some(&resolve)));
    if channel.port2().post_message(&JsValue::NULL).is_ok() {
        let _ = wasm_bindgen_futures::JsFuture::from(promise).await;
    }
    channel.port1().close();
}
