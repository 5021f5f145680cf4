//! Files of a folder that are read neither as pictures nor as containers.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::folder::{has_extension, is_container_file, list};

/// Endings of texts and the like, of which data sets have one beside each picture.
const COMPANIONS: &[&str] =
    &[".caption", ".csv", ".html", ".json", ".jsonl", ".md", ".toml", ".tsv", ".txt", ".xml", ".yaml", ".yml"];

/// Most endings in a sentence.
const FEW: usize = 5;

/// How many there are, by how their names end: in small letters, with the dot; empty where there is no ending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassedOver {
    /// Files by ending.
    pub endings: BTreeMap<String, usize>,
}

impl PassedOver {
    /// Those in the folders among the data sets `specs`, and in all folders below.
    pub fn of(specs: &[String]) -> PassedOver {
        let mut found = PassedOver::default();
        for folder in specs.iter().map(Path::new).filter(|path| path.is_dir()) {
            list(folder, |path| {
                if !has_extension(path) && !is_container_file(path) {
                    found.add(path);
                }
                false
            });
        }
        found
    }

    /// Counts the file at `path`, unless it is hidden.
    pub(super) fn add(&mut self, path: &Path) {
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden {
            let ending = path.extension().map(|ending| format!(".{}", ending.to_string_lossy().to_lowercase()));
            *self.endings.entry(ending.unwrap_or_default()).or_default() += 1;
        }
    }

    /// The same without what goes with pictures and is none.
    pub(super) fn without_companions(&self) -> PassedOver {
        let others = self.endings.iter().filter(|(ending, _)| !COMPANIONS.contains(&ending.as_str()));
        PassedOver { endings: others.map(|(ending, n)| (ending.clone(), *n)).collect() }
    }

    /// How many files there are.
    pub fn count(&self) -> usize {
        self.endings.values().sum()
    }
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut endings: Vec<(&str, usize)> = self.endings.iter().map(|(ending, n)| (ending.as_str(), *n)).collect();
        // What has none comes last of as many.
        endings.sort_by_key(|(ending, n)| (Reverse(*n), ending.is_empty()));
        let named = endings.iter().take(FEW).map(|(ending, n)| match *ending {
            "" => format!("without an ending {n}"),
            ending => format!("{ending} {n}"),
        });
        let named: Vec<String> = named.collect();
        let others = if endings.len() > FEW { ", …" } else { "" };
        write!(f, "{} other files passed over ({}{others})", self.count(), named.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_told_by_number() {
        let mut found = PassedOver::default();
        for (name, count) in [("x", 2), ("x.PPM", 2), ("b.x/y.heic", 1), ("z.ppm", 1), (".hidden", 9), ("._x.png", 1)] {
            (0..count).for_each(|_| found.add(Path::new(name)));
        }
        assert_eq!(found.to_string(), "6 other files passed over (.ppm 3, without an ending 2, .heic 1)");
        ["a.a", "a.b", "a.c"].iter().for_each(|name| found.add(Path::new(name)));
        assert!(found.to_string().ends_with("(.ppm 3, without an ending 2, .a 1, .b 1, .c 1, …)"), "{found}");
    }
}
