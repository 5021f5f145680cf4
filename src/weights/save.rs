//! Writing weights in any layout, tensor by tensor.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use half::f16;
use safetensors::{Dtype, View};

use super::layout::{Layout, name_in};
use super::{Storage, Tensor, TensorSource, Tensors, WeightsError};
use crate::platform::replace;

/// A tensor to be written: its name and shape there, and the tensors of this program that make it up, one after the
/// other along the first axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Name in the file.
    pub name: String,
    /// Shape in the file.
    pub shape: Vec<usize>,
    /// Names here.
    pub parts: Vec<String>,
}

/// What `layout` makes of the tensors of `source`, which have this program's names; and the names of those that it has no
/// place for.
pub fn outputs(layout: Layout, source: &dyn TensorSource) -> (Vec<Output>, Vec<String>) {
    let mut found: BTreeMap<String, BTreeMap<usize, (String, Vec<usize>)>> = BTreeMap::new();
    let mut left = Vec::new();
    for (native, shape) in source.shapes() {
        match name_in(layout, native) {
            Some((name, third)) => {
                let part = (native.to_owned(), shape.to_vec());
                found.entry(name).or_default().insert(third.unwrap_or(0), part);
            }
            None => left.push(native.to_owned()),
        }
    }
    let output = |(name, parts): (String, BTreeMap<usize, (String, Vec<usize>)>)| {
        let mut shape = parts.values().next().map(|(_, shape)| shape.clone()).unwrap_or_default();
        if let (Some(rows), true) = (shape.first_mut(), parts.len() > 1) {
            *rows = parts.values().filter_map(|(_, shape)| shape.first()).sum();
        }
        Output { name, shape, parts: parts.into_values().map(|(name, _)| name).collect() }
    };
    (found.into_iter().map(output).collect(), left)
}

impl Output {
    /// Elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its bytes, little-endian.
    ///
    /// # Errors
    /// [`WeightsError::Range`], and what reading gives.
    pub fn bytes(&self, source: &dyn TensorSource, storage: Storage) -> Result<Vec<u8>, WeightsError> {
        let mut bytes = Vec::with_capacity(self.len() * storage.size());
        for part in &self.parts {
            let numbers = source.read(part)?.data;
            check_range(source.path(), part, &numbers, storage)?;
            bytes.extend_from_slice(&stored(&numbers, storage));
        }
        Ok(bytes)
    }
}

/// From here on 16-bit floats round to infinity.
const F16_INFINITE: f32 = 65_520.0;

/// Fails where one of `numbers`, of the tensor `name`, is finite and would not be in `storage`.
fn check_range(path: &str, name: &str, numbers: &[f32], storage: Storage) -> Result<(), WeightsError> {
    if storage == Storage::F32 {
        return Ok(());
    }
    match numbers.iter().find(|number| number.is_finite() && number.abs() >= F16_INFINITE) {
        Some(value) => Err(WeightsError::Range { path: path.to_owned(), name: name.to_owned(), value: *value }),
        None => Ok(()),
    }
}

/// The bytes of `numbers`, little-endian.
fn stored(numbers: &[f32], storage: Storage) -> Cow<'_, [u8]> {
    match storage {
        Storage::F32 if cfg!(target_endian = "little") => Cow::Borrowed(bytemuck::cast_slice(numbers)),
        Storage::F32 => Cow::Owned(numbers.iter().flat_map(|x| x.to_le_bytes()).collect()),
        Storage::F16 => Cow::Owned(numbers.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect()),
    }
}

fn dtype(storage: Storage) -> Dtype {
    match storage {
        Storage::F32 => Dtype::F32,
        Storage::F16 => Dtype::F16,
    }
}

/// An output as the library that writes it wants to see it, which has no way to be told of an error.
struct Lazy<'a> {
    output: &'a Output,
    source: &'a dyn TensorSource,
    storage: Storage,
    error: &'a RefCell<Option<WeightsError>>,
}

impl View for Lazy<'_> {
    fn dtype(&self) -> Dtype {
        dtype(self.storage)
    }

    fn shape(&self) -> &[usize] {
        &self.output.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let bytes = self.output.bytes(self.source, self.storage).unwrap_or_else(|error| {
            self.error.borrow_mut().get_or_insert(error);
            Vec::new()
        });
        Cow::Owned(bytes)
    }

    fn data_len(&self) -> usize {
        self.output.len() * self.storage.size()
    }
}

/// Writes `outputs` as a safetensors file, whole or not at all.
///
/// # Errors
/// [`WeightsError::Io`] naming the file, [`WeightsError::Range`], and what reading gives.
pub fn write_safetensors(
    path: &Path,
    source: &dyn TensorSource,
    outputs: &[Output],
    metadata: BTreeMap<String, String>,
    storage: Storage,
) -> Result<(), WeightsError> {
    let error = RefCell::new(None);
    let views: Vec<(&str, Lazy<'_>)> =
        outputs.iter().map(|output| (output.name.as_str(), Lazy { output, source, storage, error: &error })).collect();
    let metadata: HashMap<String, String> = metadata.into_iter().collect();
    beside(path, |file| {
        let written = safetensors::serialize_to_file(views, Some(metadata), file);
        if let Some(error) = error.borrow_mut().take() {
            return Err(error);
        }
        written.map_err(|error| io(path, error))
    })
}

/// Lets `write` write a file that becomes `path`, whole or not at all.
pub(super) fn beside(path: &Path, write: impl FnOnce(&Path) -> Result<(), WeightsError>) -> Result<(), WeightsError> {
    replace(path, |source| WeightsError::Io { path: path.display().to_string(), source }, write)
}

/// A tensor in memory as the library that writes it wants to see it.
struct Borrowed<'a>(&'a Tensor, Storage);

impl View for Borrowed<'_> {
    fn dtype(&self) -> Dtype {
        dtype(self.1)
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        stored(&self.0.data, self.1)
    }

    fn data_len(&self) -> usize {
        self.0.data.len() * self.1.size()
    }
}

/// Tensors under prefixed names, for one file.
pub type Parts<'a> = [(&'a str, &'a Tensors)];

fn views<'a>(parts: &Parts<'a>, storage: Storage) -> Vec<(String, Borrowed<'a>)> {
    let named = |(prefix, tensors): &(&str, &'a Tensors)| -> Vec<(String, Borrowed<'a>)> {
        let prefix = (*prefix).to_owned();
        tensors.tensors.iter().map(|(name, tensor)| (format!("{prefix}{name}"), Borrowed(tensor, storage))).collect()
    };
    parts.iter().flat_map(named).collect()
}

fn check_parts(parts: &Parts<'_>, storage: Storage) -> Result<(), WeightsError> {
    let mut all =
        parts.iter().flat_map(|(_, tensors)| tensors.tensors.iter().map(|named| (tensors.path.as_str(), named)));
    all.try_for_each(|(path, (name, tensor))| check_range(path, name, &tensor.data, storage))
}

/// Writes several sets of tensors, each name behind its set's prefix, as one safetensors file, whole or not at all;
/// without a second copy of them in memory.
///
/// # Errors
/// [`WeightsError::Io`] naming the file, [`WeightsError::Range`].
pub fn write_parts(
    path: &Path,
    parts: &Parts<'_>,
    metadata: BTreeMap<String, String>,
    storage: Storage,
) -> Result<(), WeightsError> {
    check_parts(parts, storage)?;
    let metadata: HashMap<String, String> = metadata.into_iter().collect();
    beside(path, |file| {
        safetensors::serialize_to_file(views(parts, storage), Some(metadata), file).map_err(|error| io(path, error))
    })
}

/// The bytes of that file; `path` names it in messages.
///
/// # Errors
/// [`WeightsError::Io`], [`WeightsError::Range`].
pub fn parts_bytes(
    path: &Path,
    parts: &Parts<'_>,
    metadata: BTreeMap<String, String>,
    storage: Storage,
) -> Result<Vec<u8>, WeightsError> {
    check_parts(parts, storage)?;
    let metadata: HashMap<String, String> = metadata.into_iter().collect();
    safetensors::serialize(views(parts, storage), Some(metadata)).map_err(|error| io(path, error))
}

fn io(path: &Path, error: safetensors::SafeTensorError) -> WeightsError {
    let source = match error {
        safetensors::SafeTensorError::IoError(error) => error,
        other => std::io::Error::other(other.to_string()),
    };
    WeightsError::Io { path: path.display().to_string(), source }
}
