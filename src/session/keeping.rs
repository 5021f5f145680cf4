//! How large the state of a run may be to be copied beside it.

use crate::platform;

/// Largest state that is copied to main memory on its own account, bytes: larger ones are left to the run's folder.
const SNAPSHOT_MOST: u64 = 1 << 30;

/// Largest state that a page copies and has its browser keep, bytes. Up to four copies lie in the 4 GiB of a page at
/// once: the app's, one on its way to it, the newest, and that as a file.
const KEEP_MOST: u64 = 640 << 20;

/// Largest state that is copied to main memory without being asked for, of a run with a `folder` or of one without.
pub fn most_copied(folder: bool) -> u64 {
    match (folder, platform::KEEPS) {
        (true, _) => SNAPSHOT_MOST,
        (false, true) => KEEP_MOST,
        (false, false) => u64::MAX,
    }
}

/// Whether a page offers the weights, at most a third of it, of a run whose state of `bytes` is too large to be copied.
pub fn offers_weights(bytes: u64) -> bool {
    bytes > KEEP_MOST && bytes / 3 <= KEEP_MOST
}

/// What to say of a run in a page whose state of `bytes` is too large to be kept.
pub fn not_kept(bytes: u64) -> Option<String> {
    let mebibytes = |bytes: u64| bytes.div_ceil(1 << 20);
    (bytes > KEEP_MOST).then(|| {
        let end = match offers_weights(bytes) {
            true => "When training ends, use Save… under Train to keep its weights, before this tab is closed",
            false => "Not even its weights can be saved from here",
        };
        format!(
            "this run is not kept: its state has {} MiB, and a page keeps at most {} MiB. It is gone once this tab is \
             closed or reloaded or the GPU device is lost. {end}; the desktop program writes runs of any size into \
             folders",
            mebibytes(bytes),
            mebibytes(KEEP_MOST)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{Recipe, model_params};

    #[test]
    fn a_page_keeps_the_small_models_and_says_of_which_it_does_not() {
        let state = |name: &str| {
            let recipe = Recipe::load(name).expect("a preset");
            let parameters = model_params(&recipe.model).expect("a model");
            parameters.iter().map(|(_, shape)| shape.iter().product::<usize>() as u64 * 12).sum::<u64>()
        };
        for name in ["micro", "mini", "tiny", "small"] {
            assert_eq!(not_kept(state(name)), None, "{name}, {} bytes", state(name));
        }
        let text = not_kept(state("base")).expect("too large");
        let size = format!("its state has {} MiB", state("base").div_ceil(1 << 20));
        assert!(text.contains(&size) && text.contains("640 MiB") && text.contains("to keep its weights"), "{text}");
        assert!(offers_weights(state("base")) && !offers_weights(state("small")) && !offers_weights(state("huge")));
    }
}
