//! Files of pictures that are in memory already, as a page hands them over.

use std::borrow::Cow;

use super::archive::unique;
use super::decode::check;
use super::{DataError, Raw, Source};

/// Files by name, in the order given.
#[derive(Clone, Debug, Default)]
pub struct GivenSource {
    files: Vec<(String, Vec<u8>)>,
}

impl GivenSource {
    /// Of names and bytes of files. A name that was there before gets a number, so that names are unique.
    pub fn new(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> GivenSource {
        let mut files: Vec<_> = files.into_iter().collect();
        unique(files.iter_mut().map(|(name, _)| name));
        GivenSource { files }
    }

    /// Fails unless one of the files is a picture as far as can be told without decoding it.
    ///
    /// # Errors
    /// What is wrong with the first.
    pub(super) fn check_readable(&self) -> Result<(), DataError> {
        let mut first = None;
        for (name, bytes) in &self.files {
            match check(name, bytes) {
                Ok(_) => return Ok(()),
                Err(error) => first = first.or(Some(error)),
            }
        }
        first.map_or(Ok(()), Err)
    }
}

impl Source for GivenSource {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn name(&self, index: usize) -> &str {
        &self.files[index].0
    }

    fn read(&self, index: usize) -> Result<Raw<'_>, DataError> {
        Ok(Raw::Encoded(Cow::Borrowed(&self.files[index].1)))
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
