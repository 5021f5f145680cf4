//! What the head of a TIFF file tells beyond its first picture.

use std::collections::HashSet;

/// Tags of a directory's entries.
const KIND: u16 = 254;
const BITS: u16 = 258;
const NUMBERS: u16 = 339;
/// Bits of a page's kind: a smaller copy of another one, or where another one is transparent.
const NO_PAGE: u32 = 1 | 4;
/// Bytes of an entry: tag, type, how many values, and these or where they lie.
const ENTRY: usize = 12;
/// Most directories that are followed.
const MOST: usize = 1 << 16;
/// Types of values: of two bytes and of four.
const SHORT: u16 = 3;
const LONG: u16 = 4;

/// A file with its order of bytes. BigTIFF has another head, and is taken for a file of no pages.
struct Tiff<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl<'a> Tiff<'a> {
    fn new(bytes: &'a [u8]) -> Option<Tiff<'a>> {
        let big_endian = match bytes.first_chunk::<4>()? {
            b"II\x2a\0" => false,
            b"MM\0\x2a" => true,
            _ => return None,
        };
        Some(Tiff { bytes, big_endian })
    }

    fn short(&self, at: usize) -> Option<u16> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn long(&self, at: usize) -> Option<u32> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    /// Where the first directory lies.
    fn first(&self) -> Option<usize> {
        Some(self.long(4)? as usize)
    }

    /// Where the directory after the one at `at` lies; 0 after the last.
    fn next(&self, at: usize) -> Option<usize> {
        let entries = usize::from(self.short(at)?);
        Some(self.long(at.checked_add(2 + entries * ENTRY)?)? as usize)
    }

    /// The first value of the entry `tag` in the directory at `at`, whose entries are sorted by their tags.
    fn value(&self, at: usize, tag: u16) -> Option<u32> {
        let entries = usize::from(self.short(at)?);
        let mut places = (0..entries).map(|entry| at + 2 + entry * ENTRY);
        let at = places.find(|at| self.short(*at).is_none_or(|found| found >= tag))?;
        if self.short(at)? != tag {
            return None;
        }
        let (kind, count) = (self.short(at + 2)?, self.long(at + 4)?);
        match (kind, count) {
            (SHORT, 1 | 2) => self.short(at + 8).map(u32::from),
            (SHORT, _) => self.short(self.long(at + 8)? as usize).map(u32::from),
            (LONG, 1) => self.long(at + 8),
            _ => None,
        }
    }
}

/// How many pages a TIFF file has, smaller copies of others not counted; 0 for other files.
pub fn pages(bytes: &[u8]) -> usize {
    let Some(tiff) = Tiff::new(bytes) else { return 0 };
    let (mut at, mut seen, mut pages) = (tiff.first(), HashSet::new(), 0);
    // A directory that was there before ends a chain that leads in circles.
    while let Some(directory) = at.filter(|at| *at > 0 && seen.len() < MOST && seen.insert(*at)) {
        at = tiff.next(directory);
        let kind = tiff.value(directory, KIND).unwrap_or(0);
        pages += usize::from(at.is_some() && kind & NO_PAGE == 0);
    }
    pages
}

/// Of what kind the numbers of a TIFF file are, where they are none of up to 16 bits without a sign.
pub fn odd_numbers(bytes: &[u8]) -> Option<String> {
    let tiff = Tiff::new(bytes)?;
    let bits = tiff.value(tiff.first()?, BITS)?;
    match tiff.value(tiff.first()?, NUMBERS).unwrap_or(1) {
        1 if bits > 16 => Some(format!("{bits}-bit")),
        2 => Some(format!("{bits}-bit signed")),
        3 => Some(format!("{bits}-bit float")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of directories with these kinds, each right behind the one before; `last` follows the last.
    fn file(big_endian: bool, kinds: &[u32], last: u32) -> Vec<u8> {
        let short = |value: u16| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        let long = |value: u32| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        let mut bytes = if big_endian { b"MM\0\x2a".to_vec() } else { b"II\x2a\0".to_vec() };
        bytes.extend(long(8));
        for (index, kind) in kinds.iter().enumerate() {
            // A directory takes 18 bytes.
            let next = if index + 1 < kinds.len() { bytes.len() as u32 + 18 } else { last };
            bytes.extend([short(1), short(KIND), short(LONG)].concat());
            bytes.extend([long(1), long(*kind), long(next)].concat());
        }
        bytes
    }

    #[test]
    fn pages_are_counted_along_the_chain() {
        for big_endian in [false, true] {
            let pages = |kinds: &[u32], last: u32| pages(&file(big_endian, kinds, last));
            assert_eq!(pages(&[0], 0), 1);
            assert_eq!(pages(&[2, 1, 2, 4, 2], 0), 3, "with a thumbnail and a mask");
            assert_eq!(pages(&[0, 0, 0], 8), 3, "in circles");
            assert_eq!(pages(&[0, 0], u32::MAX), 2, "out of the file");
            let whole = file(big_endian, &[0, 0], 0);
            assert_eq!(super::pages(&whole[..whole.len() - 1]), 1, "cut off");
        }
        assert_eq!((pages(b""), pages(b"II\x2a\0"), pages(b"II\x2b\0\x08\0\0\0")), (0, 0, 0));
    }
}
