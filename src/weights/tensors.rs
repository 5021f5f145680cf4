//! Tensors by name, in memory.

use std::collections::BTreeMap;

use super::WeightsError;

/// How numbers are stored in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Storage {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats.
    F16,
}

/// A tensor; numbers of any stored type as f32.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// Elements, row-major.
    pub data: Vec<f32>,
}

/// Tensors and metadata of one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensors {
    /// Where they come from, for messages.
    pub path: String,
    /// Tensors by name.
    pub tensors: BTreeMap<String, Tensor>,
    /// Free text by key.
    pub metadata: BTreeMap<String, String>,
}

impl Tensors {
    /// Adds a tensor.
    pub fn insert(&mut self, name: impl Into<String>, shape: &[usize], data: Vec<f32>) {
        debug_assert_eq!(shape.iter().product::<usize>(), data.len());
        self.tensors.insert(name.into(), Tensor { shape: shape.to_vec(), data });
    }

    /// The tensor `name` of shape `shape`.
    ///
    /// # Errors
    /// [`WeightsError::Missing`] or [`WeightsError::Shape`].
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<&Tensor, WeightsError> {
        let tensor = self.tensors.get(name).ok_or_else(|| WeightsError::Missing {
            path: self.path.clone(),
            name: name.to_owned(),
            shape: shape.to_vec(),
        })?;
        if tensor.shape == shape {
            Ok(tensor)
        } else {
            Err(WeightsError::Shape {
                path: self.path.clone(),
                name: name.to_owned(),
                got: tensor.shape.clone(),
                want: shape.to_vec(),
            })
        }
    }

    /// The tensors whose names start with `prefix`, without it.
    #[must_use]
    pub fn under(&self, prefix: &str) -> Tensors {
        let strip = |(name, tensor): (&String, &Tensor)| Some((name.strip_prefix(prefix)?.to_owned(), tensor.clone()));
        Tensors {
            path: self.path.clone(),
            tensors: self.tensors.iter().filter_map(strip).collect(),
            metadata: self.metadata.clone(),
        }
    }

    /// The metadata text `key`.
    ///
    /// # Errors
    /// [`WeightsError::Metadata`] where there is none.
    pub fn text(&self, key: &str) -> Result<&str, WeightsError> {
        self.metadata.get(key).map(String::as_str).ok_or_else(|| self.bad_metadata(key, "is missing"))
    }

    /// The error that metadata `key` is wrong for `reason`.
    pub fn bad_metadata(&self, key: &str, reason: impl std::fmt::Display) -> WeightsError {
        WeightsError::Metadata { path: self.path.clone(), key: key.to_owned(), reason: reason.to_string() }
    }
}
