//! Where the demo trains: a folder without a run, or with a demo that nobody went on with since.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::platform::write_whole;

/// Lists the files that a demo left, each with a checksum of its bytes.
const MARK: &str = "demo.json";
/// Folders of a run's folder whose files are all the run's.
const FOLDERS: [&str; 2] = ["checkpoints", "previews"];

/// Files of a run by their names within its folder, with a checksum.
type Left = BTreeMap<String, u32>;

/// `wanted`, or the first of `wanted-2`, `wanted-3` and so on (of `./demo-2` and so on for `.`) that is free: a demo
/// that stands where [`mark`] left it is cleared away, any other run is in the way.
///
/// # Errors
/// The system's, naming the file.
pub fn free(wanted: &Path) -> anyhow::Result<PathBuf> {
    let mut folder = wanted.to_owned();
    let mut number = 1;
    loop {
        let names = run_files(&folder)?;
        if names.is_empty() {
            return Ok(folder);
        }
        if is_untouched(&folder, &names)? {
            clear(&folder, &names)?;
            return Ok(folder);
        }
        number += 1;
        folder = match wanted.file_name() {
            Some(name) => {
                let mut name = name.to_owned();
                name.push(format!("-{number}"));
                wanted.with_file_name(name)
            }
            // `.` and `..` have no name to go on from.
            None => wanted.join(format!("demo-{number}")),
        };
    }
}

/// Notes what a demo left in `folder`, so that the next one may tell whether anything happened to it.
///
/// # Errors
/// The system's, naming the file.
pub fn mark(folder: &Path) -> anyhow::Result<()> {
    let left: Left = run_files(folder)?
        .into_iter()
        .map(|name| anyhow::Ok((name.clone(), checksum(&folder.join(name))?)))
        .collect::<Result<_, _>>()?;
    let path = folder.join(MARK);
    let text = serde_json::to_string_pretty(&left)? + "\n";
    write_whole(&path, text.as_bytes()).with_context(|| path.display().to_string())
}

/// Names of what a run keeps in `folder`, with `/`; none where there is no run.
fn run_files(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = entries(folder)?;
    names.retain(|name| matches!(name.as_str(), "recipe.toml" | "metrics.jsonl") || name.contains("tfevents"));
    for inside in FOLDERS {
        names.extend(entries(&folder.join(inside))?.into_iter().map(|name| format!("{inside}/{name}")));
    }
    names.sort();
    Ok(names)
}

fn entries(folder: &Path) -> anyhow::Result<Vec<String>> {
    let found = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        found => found
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()),
    };
    found.with_context(|| folder.display().to_string())
}

fn checksum(file: &Path) -> anyhow::Result<u32> {
    Ok(crc32c::crc32c(&fs::read(file).with_context(|| file.display().to_string())?))
}

/// Whether the run in `folder` is a demo, and every file of it is as that left it.
fn is_untouched(folder: &Path, names: &[String]) -> anyhow::Result<bool> {
    let Some(left) = fs::read(folder.join(MARK)).ok().and_then(|text| serde_json::from_slice::<Left>(&text).ok())
    else {
        return Ok(false);
    };
    if !left.keys().eq(names) {
        return Ok(false);
    }
    for (name, before) in &left {
        if checksum(&folder.join(name))? != *before {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes the run's files alone: what else lies in `folder` is somebody's.
fn clear(folder: &Path, names: &[String]) -> anyhow::Result<()> {
    for name in names.iter().map(String::as_str).chain([MARK]) {
        let path = folder.join(name);
        fs::remove_file(&path).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run in `folder` as a demo leaves it.
    fn demo(folder: &Path) {
        for name in ["recipe.toml", "metrics.jsonl", "events.out.tfevents.1.unmask", "checkpoints/step-3.safetensors"] {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, name).expect("written");
        }
        mark(folder).expect("marked");
    }

    #[test]
    fn a_demo_that_nobody_touched_makes_room_and_leaves_what_is_not_its_own() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("demo");
        assert_eq!(free(&folder).expect("none there"), folder);
        demo(&folder);
        fs::write(folder.join("notes.txt"), "mine").expect("written");
        assert_eq!(free(&folder).expect("free"), folder);
        assert!(run_files(&folder).expect("listed").is_empty());
        assert!(folder.join("notes.txt").exists() && !folder.join(MARK).exists());
    }

    #[test]
    fn a_run_that_went_on_and_one_that_is_no_demo_stay() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("demo");
        let second = place.path().join("demo-2");
        let changes: [fn(&Path); 3] = [
            |folder| fs::write(folder.join("checkpoints/step-4.safetensors"), "new").expect("written"),
            |folder| fs::write(folder.join("metrics.jsonl"), "longer than before").expect("written"),
            |folder| fs::remove_file(folder.join(MARK)).expect("removed"),
        ];
        for change in changes {
            demo(&folder);
            change(&folder);
            let before = run_files(&folder).expect("listed");
            assert_eq!(free(&folder).expect("free"), second);
            assert_eq!(run_files(&folder).expect("listed"), before);
            fs::remove_dir_all(&folder).expect("removed");
        }
        // A second demo is cleared like a first.
        fs::create_dir_all(folder.join("checkpoints")).expect("made");
        fs::write(folder.join("recipe.toml"), "a run").expect("written");
        demo(&second);
        assert_eq!(free(&folder).expect("free"), second);
        let nameless = folder.join("checkpoints/..");
        assert_eq!(free(&nameless).expect("free"), nameless.join("demo-2"));
        assert!(run_files(&second).expect("listed").is_empty());
    }
}
