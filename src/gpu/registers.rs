//! How many registers an invocation has, which no interface tells.

/// Who makes adapters whose invocations have up to 255 registers, NVIDIA and AMD, by PCI number.
const GENEROUS: [u32; 2] = [0x10de, 0x1002];
/// What these makers and their adapters are called.
const NAMES: [&str; 4] = ["nvidia", "geforce", "amd", "radeon"];

/// Whether invocations have fewer, as the 128 of Intel's and Apple's adapters or the 192 of Qualcomm's Adreno 630. What is
/// not known counts as such: numbers that registers have no room for cost more than tiles smaller than they could be.
/// `maker` is what a browser calls whoever made the adapter.
pub(super) fn are_few(info: &wgpu::AdapterInfo, maker: Option<&str>) -> bool {
    !generous(info.vendor, maker.unwrap_or(&info.name))
}

fn generous(vendor: u32, name: &str) -> bool {
    let name = name.to_lowercase();
    GENEROUS.contains(&vendor) || NAMES.iter().any(|generous| name.contains(generous))
}

#[cfg(test)]
mod tests {
    use super::generous;

    #[test]
    fn makers_are_known_by_number_or_name() {
        for (vendor, name) in [(0x10de, ""), (0x1002, "?"), (0, "nvidia"), (0, "AMD Radeon Pro 5500M"), (0, "amd")] {
            assert!(generous(vendor, name), "{vendor:x} {name}");
        }
        for (vendor, name) in [(0x8086, "Intel(R) Arc(tm) A770"), (0, "Apple M1"), (0x5143, "Adreno"), (0, "")] {
            assert!(!generous(vendor, name), "{vendor:x} {name}");
        }
    }
}
