//! Who made the GPU, where only a browser can tell.

/// What the browser calls the maker of its fastest GPU, `nvidia` for one. On the desktop the driver tells.
#[cfg(not(target_arch = "wasm32"))]
pub async fn gpu_maker() -> Option<String> {
    None
}

/// What the browser calls the maker of its fastest GPU, `nvidia` for one; `None` where it keeps that to itself.
#[cfg(target_arch = "wasm32")]
pub async fn gpu_maker() -> Option<String> {
    use js_sys::{Function, Object, Promise, Reflect};
    use wasm_bindgen::{JsCast as _, JsValue};
    use wasm_bindgen_futures::JsFuture;

    let get = |of: &JsValue, name: &str| Reflect::get(of, &name.into()).ok();
    let gpu = get(&get(&js_sys::global(), "navigator")?, "gpu")?;
    let request: Function = get(&gpu, "requestAdapter")?.dyn_into().ok()?;
    let options = Object::new();
    Reflect::set(&options, &"powerPreference".into(), &"high-performance".into()).ok()?;
    let asked: Promise = request.call1(&gpu, &options).ok()?.dyn_into().ok()?;
    let adapter = JsFuture::from(asked).await.ok()?;
    get(&get(&adapter, "info")?, "vendor")?.as_string().filter(|maker| !maker.is_empty())
}
