//! Tensors by name wherever they lie: in memory, or in a file that is read tensor by tensor.

use std::collections::BTreeMap;

use super::{Element, Tensor, Tensors, WeightsError};
use crate::platform::Bytes;

/// Elements a file may have for each of its bytes: more than one only where tensors share their storage.
const MOST_SHARED: u64 = 2;

/// Tensors that can be asked for one by one, so that a file need not fit into memory beside its numbers.
pub trait TensorSource {
    /// Where they come from, for messages.
    fn path(&self) -> &str;

    /// Name and shape of each, sorted by name.
    fn shapes(&self) -> Vec<(&str, &[usize])>;

    /// Shape of the tensor `name`, if there is one.
    fn shape(&self, name: &str) -> Option<&[usize]>;

    /// Free text by key.
    fn metadata(&self) -> &BTreeMap<String, String>;

    /// Rows `first..first + count` along the first axis of the tensor `name`; of a single number, row 0 alone.
    ///
    /// # Errors
    /// [`WeightsError::Missing`], and whatever reading it gives.
    fn read_rows(&self, name: &str, first: usize, count: usize) -> Result<Tensor, WeightsError>;

    /// The tensor `name`.
    ///
    /// # Errors
    /// As [`TensorSource::read_rows`].
    fn read(&self, name: &str) -> Result<Tensor, WeightsError> {
        let shape = self.shape(name).ok_or_else(|| missing(self.path(), name))?;
        self.read_rows(name, 0, shape.first().copied().unwrap_or(1))
    }

    /// The tensor `name`, which should be of `shape`.
    ///
    /// # Errors
    /// [`WeightsError::Missing`] or [`WeightsError::Shape`], and whatever reading it gives.
    fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor, WeightsError> {
        self.expect(name, shape)?;
        self.read_rows(name, 0, shape.first().copied().unwrap_or(1))
    }

    /// Fails unless there is a tensor `name` of `shape`.
    ///
    /// # Errors
    /// [`WeightsError::Missing`] or [`WeightsError::Shape`].
    fn expect(&self, name: &str, shape: &[usize]) -> Result<(), WeightsError> {
        let (path, name) = (self.path().to_owned(), name.to_owned());
        match self.shape(&name) {
            Some(got) if got == shape => Ok(()),
            Some(got) => Err(WeightsError::Shape { path, name, got: got.to_vec(), want: shape.to_vec() }),
            None => Err(WeightsError::Missing { path, name, shape: shape.to_vec() }),
        }
    }

    /// The metadata text `key`.
    ///
    /// # Errors
    /// [`WeightsError::Metadata`] where there is none.
    fn text(&self, key: &str) -> Result<&str, WeightsError> {
        self.metadata().get(key).map(String::as_str).ok_or_else(|| self.bad_metadata(key, &"is missing"))
    }

    /// The error that metadata `key` is wrong for `reason`.
    fn bad_metadata(&self, key: &str, reason: &dyn std::fmt::Display) -> WeightsError {
        WeightsError::Metadata { path: self.path().to_owned(), key: key.to_owned(), reason: reason.to_string() }
    }

    /// All of them at once.
    ///
    /// # Errors
    /// As [`TensorSource::read`].
    fn read_all(&self) -> Result<Tensors, WeightsError> {
        let mut tensors =
            Tensors { path: self.path().to_owned(), metadata: self.metadata().clone(), ..Tensors::default() };
        for (name, _) in self.shapes() {
            tensors.tensors.insert(name.to_owned(), self.read(name)?);
        }
        Ok(tensors)
    }
}

impl TensorSource for Tensors {
    fn path(&self) -> &str {
        &self.path
    }

    fn shapes(&self) -> Vec<(&str, &[usize])> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.shape.as_slice())).collect()
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| tensor.shape.as_slice())
    }

    fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    fn read_rows(&self, name: &str, first: usize, count: usize) -> Result<Tensor, WeightsError> {
        let tensor = self.tensors.get(name).ok_or_else(|| missing(&self.path, name))?;
        let (shape, range) =
            rows(&tensor.shape, first, count).ok_or_else(|| no_rows(&self.path, name, &tensor.shape))?;
        Ok(Tensor { data: tensor.data[range].to_vec(), shape })
    }

    fn read(&self, name: &str) -> Result<Tensor, WeightsError> {
        self.tensors.get(name).cloned().ok_or_else(|| missing(&self.path, name))
    }
}

/// Shape of rows `first..first + count` of a dense tensor of `shape`, and where their elements lie; none beyond its end.
fn rows(shape: &[usize], first: usize, count: usize) -> Option<(Vec<usize>, std::ops::Range<usize>)> {
    let row: usize = shape.iter().skip(1).product();
    let end = first.checked_add(count).filter(|end| *end <= shape.first().copied().unwrap_or(1))?;
    let mut shape = shape.to_vec();
    if let Some(extent) = shape.first_mut() {
        *extent = count;
    }
    Some((shape, first * row..end * row))
}

fn no_rows(path: &str, name: &str, shape: &[usize]) -> WeightsError {
    WeightsError::Layout {
        path: path.to_owned(),
        reason: format!("tensor \"{name}\" of shape {shape:?} has too few rows"),
    }
}

/// The error that `path` has no tensor `name`.
pub(super) fn missing(path: &str, name: &str) -> WeightsError {
    WeightsError::Missing { path: path.to_owned(), name: name.to_owned(), shape: Vec::new() }
}

/// Where a tensor lies in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its element type.
    pub element: Element,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Elements between neighbours along each axis.
    pub strides: Vec<usize>,
    /// First byte.
    pub at: u64,
}

impl Place {
    /// A tensor without gaps, rows first.
    pub fn dense(element: Element, shape: Vec<usize>, at: u64) -> Place {
        let mut strides = vec![1usize; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
        }
        Place { element, shape, strides, at }
    }

    /// Elements, where these can be counted at all.
    pub fn elements(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |product, extent| product.checked_mul(*extent))
    }

    /// Elements from the first to the last in the file, which may be more than the tensor has, or fewer.
    pub fn span(&self) -> Option<usize> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        let last = self
            .shape
            .iter()
            .zip(&self.strides)
            .try_fold(0usize, |last, (extent, stride)| last.checked_add((extent - 1).checked_mul(*stride)?))?;
        last.checked_add(1)
    }
}

/// A file of tensors, each read when it is asked for.
#[derive(Debug)]
pub struct TensorFile {
    path: String,
    bytes: Bytes,
    places: BTreeMap<String, Place>,
    metadata: BTreeMap<String, String>,
}

impl TensorFile {
    /// Tensors of `bytes` at `places`.
    ///
    /// # Errors
    /// [`WeightsError::Format`] for a tensor that does not lie within the file, or has more elements than the file has
    /// bytes.
    pub fn new(
        path: &str,
        bytes: Bytes,
        places: BTreeMap<String, Place>,
        metadata: BTreeMap<String, String>,
    ) -> Result<TensorFile, WeightsError> {
        let mut all = 0u64;
        for (name, place) in &places {
            let end = place.span().and_then(|span| span.checked_mul(place.element.size()));
            let end = end.and_then(|span| place.at.checked_add(span as u64));
            let fits = end.is_some_and(|end| end <= bytes.size());
            // Strides of zero, or tensors over tensors, would let a few bytes stand for any number of elements.
            let elements = place.elements().map_or(u64::MAX, |elements| elements as u64);
            all = all.saturating_add(elements);
            if !fits || all > MOST_SHARED * bytes.size() {
                let reason = format!(
                    "tensor \"{name}\" of shape {:?} does not lie within its {} bytes, or shares them with too many",
                    place.shape,
                    bytes.size()
                );
                return Err(WeightsError::Format { path: path.to_owned(), reason });
            }
        }
        Ok(TensorFile { path: path.to_owned(), bytes, places, metadata })
    }

    /// Name and shape of the tensor `name`.
    pub fn entry(&self, name: &str) -> Option<(&str, &[usize])> {
        self.places.get_key_value(name).map(|(name, place)| (name.as_str(), place.shape.as_slice()))
    }
}

impl TensorSource for TensorFile {
    fn path(&self) -> &str {
        &self.path
    }

    fn shapes(&self) -> Vec<(&str, &[usize])> {
        self.places.iter().map(|(name, place)| (name.as_str(), place.shape.as_slice())).collect()
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.places.get(name).map(|place| place.shape.as_slice())
    }

    fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    fn read_rows(&self, name: &str, first: usize, count: usize) -> Result<Tensor, WeightsError> {
        let place = self.places.get(name).ok_or_else(|| missing(&self.path, name))?;
        let (shape, _) = rows(&place.shape, first, count).ok_or_else(|| no_rows(&self.path, name, &place.shape))?;
        // Checked when the file was opened: nothing of this overflows.
        let before = first * place.strides.first().copied().unwrap_or(0) * place.element.size();
        let part = Place { at: place.at + before as u64, shape, ..place.clone() };
        let (length, span) = (part.elements().unwrap_or(0), part.span().unwrap_or(0));
        let bytes = self.bytes.read(part.at, (span * part.element.size()) as u64);
        let bytes = bytes.map_err(|source| WeightsError::Io { path: self.path.clone(), source })?;
        let numbers = part.element.numbers(&bytes);
        let dense = Place::dense(part.element, part.shape.clone(), 0).strides == part.strides;
        let data = if dense || length <= 1 { numbers } else { gather(&numbers, &part, length) };
        Ok(Tensor { shape: part.shape, data })
    }
}

/// The elements of a tensor with gaps, or with its axes in another order.
fn gather(numbers: &[f32], place: &Place, length: usize) -> Vec<f32> {
    let mut data = Vec::with_capacity(length);
    let mut index = vec![0; place.shape.len()];
    for _ in 0..length {
        let at: usize = index.iter().zip(&place.strides).map(|(i, stride)| i * stride).sum();
        data.push(numbers[at]);
        for axis in (0..index.len()).rev() {
            index[axis] += 1;
            if index[axis] < place.shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(places: &[(&str, Place)], bytes: Vec<u8>) -> Result<TensorFile, WeightsError> {
        let places = places.iter().map(|(name, place)| ((*name).to_owned(), place.clone())).collect();
        TensorFile::new("a file", Bytes::Memory(bytes.into()), places, BTreeMap::new())
    }

    #[test]
    fn transposed_tensors_come_out_rows_first() {
        let bytes: Vec<u8> = (0..6).flat_map(|x| (x as f32).to_le_bytes()).collect();
        let dense = Place::dense(Element::F32, vec![3, 2], 0);
        let transposed = Place { shape: vec![2, 3], strides: vec![1, 2], ..dense.clone() };
        let last = Place { shape: vec![2], strides: vec![1], at: 16, ..dense.clone() };
        let file = file(&[("dense", dense), ("transposed", transposed), ("last", last)], bytes).expect("a file");
        assert_eq!(file.read("dense").expect("read").data, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(file.read("transposed").expect("read").data, [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
        assert_eq!(file.read("last").expect("read").data, [4.0, 5.0]);
        assert_eq!(file.read_rows("dense", 1, 2).expect("rows").data, [2.0, 3.0, 4.0, 5.0]);
        assert_eq!(file.read_rows("transposed", 1, 1).expect("a row").data, [1.0, 3.0, 5.0]);
        assert!(file.read_rows("dense", 2, 2).is_err() && file.read("none").is_err());
    }

    #[test]
    fn tensors_beyond_the_file_are_refused() {
        for place in [
            Place::dense(Element::F32, vec![2, 3], 4),
            Place::dense(Element::F32, vec![usize::MAX, 2], 0),
            Place { strides: vec![0, 0], ..Place::dense(Element::F32, vec![1000, 1000], 0) },
            Place { strides: vec![usize::MAX, 1], ..Place::dense(Element::F32, vec![2, 1], 0) },
            Place::dense(Element::F32, vec![1], u64::MAX),
        ] {
            assert!(file(&[("x", place.clone())], vec![0; 24]).is_err(), "{place:?}");
        }
    }
}
