//! Files of pictures that are in memory already, as a page hands them over.

use std::collections::HashSet;

use super::{DataError, Picture, Source, decode};

/// Files by name, in the order given.
#[derive(Clone, Debug, Default)]
pub struct GivenSource {
    files: Vec<(String, Vec<u8>)>,
}

impl GivenSource {
    /// Of names and bytes of files. A name that was there before gets a number, so that names are unique.
    pub fn new(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> GivenSource {
        let mut given: Vec<(String, Vec<u8>)> = Vec::new();
        let mut taken = HashSet::new();
        for (name, bytes) in files {
            let name = if taken.contains(&name) { format!("{} {name}", given.len() + 1) } else { name };
            taken.insert(name.clone());
            given.push((name, bytes));
        }
        GivenSource { files: given }
    }
}

impl Source for GivenSource {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn name(&self, index: usize) -> &str {
        &self.files[index].0
    }

    fn load(&self, index: usize, limit: Option<u32>) -> Result<Picture, DataError> {
        let (name, bytes) = &self.files[index];
        decode(name, bytes, limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let source = GivenSource::new(["a", "b", "a"].map(|name| (name.to_owned(), Vec::new())));
        assert_eq!([source.name(0), source.name(1), source.name(2)], ["a", "b", "3 a"]);
        assert!(source.load(2, None).is_err());
    }
}
