//! Tensors by name, in memory.

use std::collections::BTreeMap;

/// How numbers are stored in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Storage {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats.
    F16,
}

impl Storage {
    /// Bytes of a number.
    pub fn size(self) -> usize {
        match self {
            Storage::F32 => 4,
            Storage::F16 => 2,
        }
    }
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
}
