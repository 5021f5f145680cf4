//! Files that come with the program: inside it on the desktop, fetched beside it by a page.

#[cfg(target_arch = "wasm32")]
pub use inner::provide_assets;
use inner::table;

/// The bytes of the file `name`, such as `photos/animal/cat_erasers.jpg`; `None` where it did not come along.
pub fn asset(name: &str) -> Option<&'static [u8]> {
    let all = assets("");
    all.binary_search_by(|(other, _)| (*other).cmp(name)).ok().map(|index| all[index].1)
}

/// Names and bytes of the files whose names start with `prefix`, sorted by name.
pub fn assets(prefix: &str) -> &'static [(&'static str, &'static [u8])] {
    let all = table();
    let start = all.partition_point(|(name, _)| *name < prefix);
    let count = all[start..].partition_point(|(name, _)| name.starts_with(prefix));
    &all[start..start + count]
}

#[cfg(not(target_arch = "wasm32"))]
mod inner {
    include!(concat!(env!("OUT_DIR"), "/assets.rs"));

    pub fn table() -> &'static [(&'static str, &'static [u8])] {
        ASSETS
    }
}

#[cfg(target_arch = "wasm32")]
mod inner {
    use std::sync::OnceLock;

    static ASSETS: OnceLock<Vec<(&'static str, &'static [u8])>> = OnceLock::new();

    pub fn table() -> &'static [(&'static str, &'static [u8])] {
        ASSETS.get().map_or(&[], Vec::as_slice)
    }

    /// Takes up the files of `pack`: the length of a JSON list of `[name, length]` as a little-endian u32, the list,
    /// then their bytes one after the other. To be called before anything asks for a file; what further calls bring is
    /// the same and not looked at.
    ///
    /// # Errors
    /// A pack that is cut short or is none.
    pub fn provide_assets(pack: Vec<u8>) -> Result<(), String> {
        // Another copy of the page's module, as after a hot reload, has this same program.
        if ASSETS.get().is_some() {
            return Ok(());
        }
        // They stay as long as the page.
        let files = unpack(Vec::leak(pack)).ok_or("the pack of pictures and weights is damaged; reload the page")?;
        ASSETS.get_or_init(|| files);
        Ok(())
    }

    fn unpack(pack: &'static [u8]) -> Option<Vec<(&'static str, &'static [u8])>> {
        let (length, rest) = pack.split_first_chunk::<4>()?;
        let (list, mut rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let list: Vec<(&'static str, usize)> = serde_json::from_slice(list).ok()?;
        let mut files = Vec::with_capacity(list.len());
        for (name, length) in list {
            let (bytes, after) = rest.split_at_checked(length)?;
            files.push((name, bytes));
            rest = after;
        }
        files.sort_unstable();
        Some(files)
    }
}
