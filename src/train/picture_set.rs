//! Which pictures a run has trained on so far: with others it goes on in another order.

use crate::weights::{TensorSource as _, Tensors, WeightsError};

/// Its name in a checkpoint's metadata.
const PICTURES: &str = "pictures";

/// A set of pictures in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureSet {
    /// How many.
    pub count: usize,
    /// CRC-32C of their names, one a line.
    pub names: u32,
}

impl PictureSet {
    /// That of the pictures called `names`.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> PictureSet {
        let mut set = PictureSet { count: 0, names: 0 };
        for name in names {
            if set.count > 0 {
                set.names = crc32c::crc32c_append(set.names, b"\n");
            }
            set.names = crc32c::crc32c_append(set.names, name.as_bytes());
            set.count += 1;
        }
        set
    }

    /// What a checkpoint says of it.
    pub(super) fn metadata(self) -> (String, String) {
        (PICTURES.to_owned(), format!("{} crc32c:{:08x}", self.count, self.names))
    }

    /// What the checkpoint of `weights` says; none where it is of before there was such a line.
    ///
    /// # Errors
    /// A line that is none.
    pub(super) fn in_checkpoint(weights: &Tensors) -> Result<Option<PictureSet>, WeightsError> {
        let Some(text) = weights.metadata.get(PICTURES) else { return Ok(None) };
        let read = || {
            let (count, names) = text.split_once(" crc32c:")?;
            Some(PictureSet { count: count.parse().ok()?, names: u32::from_str_radix(names, 16).ok()? })
        };
        let wrong = || weights.bad_metadata(PICTURES, &format!("\"{text}\", expected a count and a checksum"));
        read().map(Some).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_known_by_its_names_in_their_order() {
        let set = PictureSet::of(["a.png", "b.png"]);
        assert_eq!(set, PictureSet { count: 2, names: crc32c::crc32c(b"a.png\nb.png") });
        assert_ne!(set, PictureSet::of(["b.png", "a.png"]));
        let mut weights = Tensors::default();
        assert_eq!(PictureSet::in_checkpoint(&weights).expect("none"), None);
        weights.metadata.extend([set.metadata()]);
        assert_eq!(PictureSet::in_checkpoint(&weights).expect("a set"), Some(set));
        for wrong in ["", "2", "two crc32c:0", "2 crc32c:x"] {
            weights.metadata.insert(PICTURES.to_owned(), wrong.to_owned());
            let error = PictureSet::in_checkpoint(&weights).expect_err(wrong).to_string();
            assert!(error.contains("expected a count and a checksum"), "{error}");
        }
    }
}
