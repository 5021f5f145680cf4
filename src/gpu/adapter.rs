//! Which adapter to use: by name, by the environment, else the fastest kind.

use super::GpuError;

/// What adapter a caller wants.
#[derive(Clone, Debug, Default)]
pub struct AdapterRequest {
    /// A part of the adapter's name, in any case; `None` takes `WGPU_ADAPTER_NAME`, else the fastest kind.
    pub name: Option<String>,
}

/// One adapter as `unmask info` shows it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AdapterSummary {
    /// Name the driver gives.
    pub name: String,
    /// `vulkan`, `metal`, `dx12` or `webgpu`.
    pub backend: String,
    /// `DiscreteGpu`, `IntegratedGpu`, `Cpu`, …
    pub kind: String,
    /// Driver and its version.
    pub driver: String,
}

impl AdapterSummary {
    /// Summary of a wgpu adapter's own description.
    pub fn of(info: &wgpu::AdapterInfo) -> Self {
        AdapterSummary {
            name: info.name.clone(),
            backend: info.backend.to_str().to_owned(),
            kind: format!("{:?}", info.device_type),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        }
    }
}

/// A wgpu instance that honours the `WGPU_*` variables.
pub(super) fn instance() -> wgpu::Instance {
    wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env())
}

fn backends() -> wgpu::Backends {
    wgpu::Backends::from_env().unwrap_or(wgpu::Backends::PRIMARY)
}

/// All adapters of this machine (in a browser: none are listed, the browser chooses).
pub async fn adapters() -> Vec<AdapterSummary> {
    instance().enumerate_adapters(backends()).await.iter().map(|a| AdapterSummary::of(&a.get_info())).collect()
}

/// How fast a kind of adapter is likely to be; smaller is better.
fn rank(kind: wgpu::DeviceType) -> u32 {
    match kind {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

/// Whether two descriptions are of one adapter, as far as they tell.
pub(super) fn is_same(a: &wgpu::AdapterInfo, b: &wgpu::AdapterInfo) -> bool {
    (&a.name, a.vendor, a.device, a.backend) == (&b.name, b.vendor, b.device, b.backend)
}

/// Finds the wanted adapter of `instance`.
pub(super) async fn find(instance: &wgpu::Instance, request: &AdapterRequest) -> Result<wgpu::Adapter, GpuError> {
    let mut found = instance.enumerate_adapters(backends()).await;
    let wanted = request.name.clone().or_else(|| crate::platform::variable("WGPU_ADAPTER_NAME"));
    if found.is_empty() && wanted.is_none() {
        // Browsers list no adapters but give one when asked.
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        if let Ok(adapter) = instance.request_adapter(&options).await {
            return Ok(adapter);
        }
    }
    let advice = match found.is_empty() {
        true if cfg!(target_os = "linux") => {
            "install a Vulkan driver (on Debian or Ubuntu without a GPU: `apt install mesa-vulkan-drivers libvulkan1`), \
             or check the WGPU_BACKEND variable"
        }
        true => "install the driver of the graphics card, or check the WGPU_BACKEND variable",
        false => "name one of these by --adapter or WGPU_ADAPTER_NAME, in part and in any case",
    };
    let names: Vec<String> = found.iter().map(|a| format!("\"{}\"", a.get_info().name)).collect();
    found.sort_by_key(|adapter| rank(adapter.get_info().device_type));
    let needle = wanted.as_deref().unwrap_or("").to_lowercase();
    found.into_iter().find(|a| a.get_info().name.to_lowercase().contains(&needle)).ok_or_else(|| GpuError::NoAdapter {
        wanted: wanted.map(|w| format!(" whose name contains \"{w}\"")).unwrap_or_default(),
        found: if names.is_empty() { "there is none".to_owned() } else { format!("there are: {}", names.join(", ")) },
        advice,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_is_known_again_whatever_its_driver_says_of_itself() {
        let request = AdapterRequest::default();
        let info = pollster::block_on(find(&instance(), &request)).expect("an adapter").get_info();
        let again = wgpu::AdapterInfo { driver_info: "updated".to_owned(), ..info.clone() };
        assert!(is_same(&info, &again));
        let others = [
            wgpu::AdapterInfo { name: "another".to_owned(), ..info.clone() },
            wgpu::AdapterInfo { device: info.device ^ 1, ..info.clone() },
            wgpu::AdapterInfo { vendor: info.vendor ^ 1, ..info.clone() },
        ];
        assert!(others.iter().all(|other| !is_same(&info, other)));
    }
}
