//! Other runs whose losses are drawn beside those of this one.

use std::path::PathBuf;

use crate::app::history::History;
use crate::train::RunSummary;

/// A run that is compared with.
pub struct Compared {
    /// Where it lies.
    path: PathBuf,
    /// As much of that as tells it from the others.
    pub name: String,
    /// Its curves.
    pub history: History,
}

/// Adds `runs` to `others`, in place of what was known of the same.
pub fn add(others: &mut Vec<Compared>, runs: Vec<RunSummary>) {
    for run in runs {
        // Whichever way it was reached.
        let path = run.path.canonicalize().unwrap_or(run.path);
        others.retain(|other| other.path != path);
        others.push(Compared { path, name: String::new(), history: History::of(run.lines) });
    }
    let paths: Vec<PathBuf> = others.iter().map(|other| other.path.clone()).collect();
    for (other, name) in others.iter_mut().zip(names(&paths)) {
        other.name = name;
    }
}

/// Of each path as many of its last parts as no other path ends in.
fn names(paths: &[PathBuf]) -> Vec<String> {
    let name = |path: &PathBuf| {
        let parts: Vec<_> = path.components().collect();
        let last = |count: usize| parts[parts.len() - count..].iter().collect::<PathBuf>();
        let alone = |end: &PathBuf| paths.iter().filter(|other| other.ends_with(end)).count() <= 1;
        (1..=parts.len()).map(last).find(alone).unwrap_or_else(|| path.clone()).display().to_string()
    };
    paths.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_long_as_it_takes_to_tell_runs_apart() {
        let named = |paths: &[&str]| names(&paths.iter().map(PathBuf::from).collect::<Vec<_>>()).join(" ");
        assert_eq!(named(&["/exp/lr1/run", "/exp/lr2/run", "/exp/other"]), "lr1/run lr2/run other".replace('/', SLASH));
        assert_eq!(named(&["/a/x/run", "/b/x/run", "/x/run"]), "a/x/run b/x/run /x/run".replace('/', SLASH));
        assert_eq!(named(&["/runs/micro-1"]), "micro-1");
        assert_eq!(named(&["/"]), SLASH);
    }

    const SLASH: &str = std::path::MAIN_SEPARATOR_STR;
}
