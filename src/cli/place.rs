//! Where weights may be written.

use std::path::Path;

use anyhow::bail;

use crate::train::RunFolder;

/// Refuses places where what lies there would be gone: files that say that they hold something else than one of `endings`
/// does, and checkpoints of runs, which no run could go on from. `option` is how `out` was named, if by one.
pub fn check_place(option: Option<&str>, out: &Path, endings: &[&str]) -> anyhow::Result<()> {
    let shown = option.map_or(String::new(), |option| format!("{option} ")) + &out.display().to_string();
    let ending = out.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if !endings.contains(&ending) {
        let expected = endings.iter().map(|ending| format!(".{ending}")).collect::<Vec<_>>().join(" or ");
        bail!("{shown}: expected a name that ends in {expected}");
    }
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A folder that is not there holds no checkpoints.
    let Ok(folder) = folder.canonicalize() else { return Ok(()) };
    match folder.parent() {
        Some(run) if folder.ends_with("checkpoints") && RunFolder::is_run(run) => {
            bail!("{shown}: the checkpoints of the run in {} are kept there; expected another folder", run.display())
        }
        _ => Ok(()),
    }
}
