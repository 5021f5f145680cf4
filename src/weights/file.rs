//! Safetensors files.

use std::fs;
use std::path::Path;

use safetensors::SafeTensors;

use super::open::element;
use super::save::{parts_bytes, write_parts};
use super::{Storage, Tensor, Tensors, WeightsError};

/// Reads a safetensors file from `bytes`; `path` names it in messages.
///
/// # Errors
/// [`WeightsError::Format`] for anything but a whole file, [`WeightsError::Type`] for unknown element types.
pub fn read_tensors(path: &str, bytes: &[u8]) -> Result<Tensors, WeightsError> {
    let format = |reason: String| WeightsError::Format { path: path.to_owned(), reason };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| format(error.to_string()))?;
    let file = SafeTensors::deserialize(bytes).map_err(|error| format(error.to_string()))?;
    let mut tensors = Tensors { path: path.to_owned(), ..Tensors::default() };
    tensors.metadata.extend(header.metadata().clone().unwrap_or_default());
    for (name, view) in file.iter() {
        let element = element(view.dtype()).ok_or_else(|| WeightsError::Type {
            path: path.to_owned(),
            name: name.to_owned(),
            dtype: format!("{:?}", view.dtype()),
        })?;
        let data = element.numbers(view.data());
        tensors.tensors.insert(name.to_owned(), Tensor { shape: view.shape().to_vec(), data });
    }
    Ok(tensors)
}

/// The bytes of a safetensors file of `tensors`.
///
/// # Errors
/// [`WeightsError::Io`] where they cannot be laid out.
pub fn tensor_bytes(tensors: &Tensors, storage: Storage) -> Result<Vec<u8>, WeightsError> {
    parts_bytes(Path::new(&tensors.path), &[("", tensors)], tensors.metadata.clone(), storage)
}

/// Writes `tensors` to `path`: into a file beside it, synced, then renamed, so that no torn file bears the name.
///
/// # Errors
/// [`WeightsError::Io`] naming the file; what stood at `path` before stays whole.
pub fn write_tensors(path: &Path, tensors: &Tensors, storage: Storage) -> Result<(), WeightsError> {
    write_parts(path, &[("", tensors)], tensors.metadata.clone(), storage)
}

impl Tensors {
    /// Reads the safetensors file at `path`.
    ///
    /// # Errors
    /// As [`read_tensors`], and [`WeightsError::Io`].
    pub fn open(path: &Path) -> Result<Tensors, WeightsError> {
        let name = path.display().to_string();
        let bytes = fs::read(path).map_err(|source| WeightsError::Io { path: name.clone(), source })?;
        read_tensors(&name, &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::TensorSource as _;

    #[test]
    fn files_come_back_as_they_were_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("w.safetensors");
        let mut tensors = Tensors { path: path.display().to_string(), ..Tensors::default() };
        tensors.insert("a", &[2, 2], vec![1.0, -2.5, 0.0, 65504.0]);
        tensors.insert("b", &[1], vec![0.5]);
        tensors.metadata.insert("steps".to_owned(), "3".to_owned());
        for storage in [Storage::F32, Storage::F16] {
            write_tensors(&path, &tensors, storage).expect("written");
            assert_eq!(Tensors::open(&path).expect("read"), tensors);
        }
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing is left beside the file");
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let (nowhere, tensors) = (folder.path().join("nowhere"), Tensors::default());
        let error = write_tensors(&nowhere.join("w.safetensors"), &tensors, Storage::F32).expect_err("no folder");
        let text = error.to_string();
        let (file, reason) = text.split_once(": ").expect("a file and a reason");
        assert!(file.ends_with("w.safetensors"), "{text}");
        assert_eq!(reason, format!("the folder {} does not exist", nowhere.display()));
    }

    #[test]
    fn damage_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("w.safetensors");
        let mut tensors = Tensors::default();
        tensors.insert("a", &[8], vec![1.0; 8]);
        write_tensors(&path, &tensors, Storage::F32).expect("written");
        let whole = fs::read(&path).expect("read");
        for length in [0, 4, 8, 20, whole.len() - 1] {
            let error = read_tensors("torn.safetensors", &whole[..length]).expect_err("torn").to_string();
            assert!(error.starts_with("torn.safetensors: not a whole safetensors file"), "{error}");
        }
        let missing = tensors.get("b", &[3]).expect_err("missing").to_string();
        assert!(missing.contains("\"b\" is missing; expected shape [3]"), "{missing}");
        let shape = tensors.get("a", &[2, 4]).expect_err("shape").to_string();
        assert!(shape.contains("\"a\" has shape [8], expected [2, 4]"), "{shape}");
    }
}
