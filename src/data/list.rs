//! Text files that list pictures, a path a line, and behind a tab what each shows.

use std::path::Path;

use super::places::once;
use super::text::read_text;
use super::{DataError, FolderSource};

/// Extensions of such lists.
const EXTENSIONS: [&str; 4] = ["txt", "lst", "list", "tsv"];

/// Whether the file at `path` is taken for a list.
pub fn is_list(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|found| EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(found)))
}

/// The pictures listed in the file at `path`, one a line: a path from the list's folder on, or an absolute one, and behind
/// a tab what the picture shows. Empty lines and those that begin with `#` are passed over, as is all behind a second tab.
/// Of lines with the same file the first counts.
///
/// # Errors
/// A list that cannot be read, or that names no file that can be decoded.
pub fn open(path: &Path) -> Result<FolderSource, DataError> {
    let text = read_text(path);
    let text = text.map_err(|error| DataError::Read { name: path.display().to_string(), reason: error.to_string() })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let lines = text.lines().map(|line| line.split('\t').map(str::trim));
    let lines =
        lines.map(|mut cells| (cells.next().unwrap_or_default(), cells.next().filter(|label| !label.is_empty())));
    let mut pictures: Vec<_> = lines
        .filter(|(file, _)| !file.is_empty() && !file.starts_with('#'))
        .map(|(file, label)| ((file.replace('\\', "/"), folder.join(file)), label.map(str::to_owned)))
        .collect();
    once(path, &mut pictures, |((_, file), _)| file);
    let (files, labels) = pictures.into_iter().unzip();
    Ok(FolderSource::of_files(path, files)?.labelled(labels))
}
