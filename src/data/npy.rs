//! NumPy's `.npy` files: a header written as a Python dictionary, then the numbers or words.

use std::ops::Range;
use std::sync::Arc;

use super::array::{ArraySource, Layout, Number};
use super::npy_element::Element;
use super::watched::Watched;
use super::{DataError, Source};
use crate::platform::Bytes;

const MAGIC: &[u8] = b"\x93NUMPY";
/// Longest header that is read; NumPy's own take some hundred bytes.
const MOST_HEADER: u64 = 1 << 16;
/// Most bytes of an array of labels.
const MOST_LABEL_BYTES: u64 = 1 << 30;

/// Whether `head` begins a `.npy` file.
pub fn is_npy(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// The pictures of a `.npy` file called `name`.
///
/// # Errors
/// [`DataError::Container`] where it holds no pictures, or numbers of another type than bytes and floats.
pub fn open(name: &str, bytes: &Watched) -> Result<Arc<dyn Source>, DataError> {
    let source = Array::read(bytes, 0..bytes.size()).and_then(|array| array.pictures(name));
    match source {
        Ok(source) => Ok(Arc::new(source)),
        Err(reason) => Err(DataError::Container { name: name.to_owned(), kind: "a NumPy array", reason }),
    }
}

/// An array by what its header tells.
#[derive(Debug)]
pub struct Array {
    /// Its extents.
    pub shape: Vec<u64>,
    /// NumPy's name for the type of an element.
    kind: String,
    /// How its pictures lie, or why there are none.
    layout: Result<Layout, String>,
    bytes: Arc<Bytes>,
    /// Where its elements are.
    place: Range<u64>,
}

impl Array {
    /// The array whose file lies at the bytes `place`.
    ///
    /// # Errors
    /// What is wrong with its header.
    pub fn read(bytes: &Watched, place: Range<u64>) -> Result<Array, String> {
        let read =
            |at: u64, count: u64| bytes.read(place.start.saturating_add(at), count).map_err(|error| error.to_string());
        let head = read(0, 12)?;
        let (at, length) = match head.as_slice() {
            [.., 1, _, a, b, _, _] => (10, u64::from(u16::from_le_bytes([*a, *b]))),
            [.., 2 | 3, _, a, b, c, d] => (12, u64::from(u32::from_le_bytes([*a, *b, *c, *d]))),
            _ => return Err("expected version 1, 2 or 3 of the format".to_owned()),
        };
        if !is_npy(&head) || length > MOST_HEADER {
            return Err(format!("a header of {length} bytes; expected {MOST_HEADER} at most"));
        }
        let header = read(at, length)?;
        let header = String::from_utf8_lossy(&header);
        let (shape, kind) = (shape(&header)?, kind(&header)?.to_owned());
        let layout = layout(&header, &shape);
        Ok(Array { shape, kind, layout, bytes: bytes.bytes(), place: place.start + at + length..place.end })
    }

    /// How many pictures it holds.
    pub fn count(&self) -> Option<u64> {
        self.layout.as_ref().ok().map(|layout| layout.count)
    }

    /// Its pictures, named after it.
    ///
    /// # Errors
    /// Why it holds none.
    pub fn pictures(self, name: &str) -> Result<ArraySource, String> {
        ArraySource::new(name, self.bytes, self.place, self.layout?)
    }

    /// Its elements as labels, if it has one axis, or a second one of extent 1.
    ///
    /// # Errors
    /// Why they are none.
    pub fn labels(&self) -> Result<Vec<String>, String> {
        let count = match *self.shape {
            [count] | [count, 1] => count,
            _ => return Err(format!("an array of shape {:?}; expected labels along one axis", self.shape)),
        };
        let element = Element::of(&self.kind)?;
        let need = count.checked_mul(element.size()).filter(|need| *need <= MOST_LABEL_BYTES);
        let need = need.ok_or_else(|| format!("{count} labels of type {}; that is too many", self.kind))?;
        let end = self.place.end.min(self.bytes.size());
        if self.place.start.checked_add(need).is_none_or(|need| need > end) {
            return Err(format!("it ends before its {count} labels do"));
        }
        let bytes = self.bytes.read(self.place.start, need).map_err(|error| error.to_string())?;
        match usize::try_from(element.size()) {
            Ok(size @ 1..) => bytes.chunks_exact(size).map(|bytes| element.label(bytes)).collect(),
            // Of texts without a letter.
            _ => Err(format!("labels of type {}, which are empty", self.kind)),
        }
    }
}

/// The extents that a header tells.
fn shape(header: &str) -> Result<Vec<u64>, String> {
    let shape = value(header, "shape")?;
    let extents = shape.trim_matches(['(', ')']).split(',').map(str::trim).filter(|extent| !extent.is_empty());
    let extents: Result<Vec<u64>, _> = extents.map(str::parse).collect();
    extents.map_err(|_| format!("a shape of {shape}"))
}

/// NumPy's name for the type of an element.
fn kind(header: &str) -> Result<&str, String> {
    Ok(value(header, "descr")?.trim_matches(['\'', '"']))
}

/// How the pictures of an array of this shape lie.
fn layout(header: &str, shape: &[u64]) -> Result<Layout, String> {
    let number = match kind(header)? {
        "|u1" | "u1" | "<u1" | ">u1" => Number::U8,
        "<f4" => Number::F32,
        "<f8" => Number::F64,
        other => return Err(format!("numbers of type {other:?}; expected uint8, or float32 or float64 from 0 to 1")),
    };
    if value(header, "fortran_order")? != "False" {
        return Err("its axes are in Fortran's order; expected C's (numpy.ascontiguousarray)".to_owned());
    }
    Layout::of(shape, number)
}

/// What stands behind `key` in the dictionary, to the next comma outside parentheses.
fn value<'a>(header: &'a str, key: &str) -> Result<&'a str, String> {
    let missing = || format!("its header has no {key}");
    let at = header.find(&format!("'{key}'")).ok_or_else(missing)? + key.len() + 2;
    let rest = header[at..].trim_start().strip_prefix(':').ok_or_else(missing)?.trim_start();
    let mut depth = 0;
    let end = rest.find(|c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth < 0 || (depth == 0 && matches!(c, ',' | '}'))
    });
    Ok(rest[..end.ok_or_else(missing)?].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_as_numpy_writes_them() {
        let layout = |header: &str| layout(header, &shape(header)?);
        let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (60000, 28, 28), }          \n";
        let want = Layout { count: 60000, size: [28, 28], channels: 1, planes: false, number: Number::U8 };
        assert_eq!(layout(header), Ok(want));
        let header = header.replace("|u1", "<f4").replace("(60000, 28, 28)", "(5, 3, 8, 6)");
        let want = Layout { count: 5, size: [8, 6], channels: 3, planes: true, number: Number::F32 };
        assert_eq!(layout(&header), Ok(want));
        for (from, to) in [("<f4", "<i8"), ("False", "True"), ("(5, 3, 8, 6)", "(5,)"), ("'shape'", "'s'")] {
            assert!(layout(&header.replace(from, to)).is_err(), "{to}");
        }
    }
}
