//! Opening weights of any kind, each tensor to be read when it is asked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::Metadata;
use serde::Deserialize;

use super::source::{Place, TensorFile, missing};
use super::torch;
use super::{Element, Tensor, TensorSource, WeightsError};
use crate::platform::Bytes;

/// Longest header of a safetensors file, as its own library has it.
const MOST_HEADER: u64 = 100_000_000;

/// Files that a folder may hold its weights in, the first that exists counts.
const IN_FOLDER: [&str; 4] =
    ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"];

/// Opens the weights at `path`: a safetensors file, one of `torch.save`, an index of several, or a folder as Hugging
/// Face's libraries write it.
///
/// # Errors
/// [`WeightsError::Io`] and what is wrong with the file.
pub fn open_weights(path: &Path) -> Result<Box<dyn TensorSource>, WeightsError> {
    let path = if path.is_dir() { in_folder(path)? } else { path.to_owned() };
    let name = path.display().to_string();
    if name.ends_with(".index.json") {
        return Ok(Box::new(Sharded::open(&path)?));
    }
    Ok(Box::new(open_bytes(&name, open_file(&path)?)?))
}

/// Opens weights that are in memory; `name` names them in messages.
///
/// # Errors
/// What is wrong with them.
pub fn open_bytes(name: &str, bytes: Bytes) -> Result<TensorFile, WeightsError> {
    let io = |source| WeightsError::Io { path: name.to_owned(), source };
    let head = bytes.read(0, 32).map_err(io)?;
    if torch::is_torch(&head) { torch::open(name, bytes) } else { safetensors_file(name, bytes) }
}

fn open_file(path: &Path) -> Result<Bytes, WeightsError> {
    Bytes::open(path).map_err(|source| WeightsError::Io { path: path.display().to_string(), source })
}

/// Whether `folder` is one that holds weights, as Hugging Face's libraries write it.
pub fn holds_weights(folder: &Path) -> bool {
    folder.is_dir() && in_folder(folder).is_ok()
}

fn in_folder(folder: &Path) -> Result<PathBuf, WeightsError> {
    IN_FOLDER.map(|file| folder.join(file)).into_iter().find(|file| file.exists()).ok_or_else(|| WeightsError::Layout {
        path: folder.display().to_string(),
        reason: format!("holds no weights; expected one of {}", IN_FOLDER.join(", ")),
    })
}

fn safetensors_file(path: &str, bytes: Bytes) -> Result<TensorFile, WeightsError> {
    let format = |reason: String| WeightsError::Format { path: path.to_owned(), reason };
    let io = |source| WeightsError::Io { path: path.to_owned(), source };
    let head = bytes.read(0, 32).map_err(io)?;
    let length = head.first_chunk().ok_or_else(|| format("it is shorter than 8 bytes".to_owned()))?;
    let length = u64::from_le_bytes(*length);
    if length > MOST_HEADER {
        let reason = format!("is no safetensors file: it looks like {}", looks_like(&head));
        return Err(WeightsError::Layout { path: path.to_owned(), reason });
    }
    if length > bytes.size().saturating_sub(8) {
        return Err(format(format!("a header of {length} bytes in a file of {}", bytes.size())));
    }
    let header = bytes.read(8, length).map_err(io)?;
    // That no tensor overlaps another is checked on the way.
    let header: Metadata = serde_json::from_slice(&header).map_err(|error| format(error.to_string()))?;
    let end = header.tensors().values().map(|info| info.data_offsets.1 as u64).max().unwrap_or(0);
    if end.checked_add(8 + length) != Some(bytes.size()) {
        return Err(format(format!(
            "{} bytes, where its header tells of {}",
            bytes.size(),
            end.saturating_add(8 + length)
        )));
    }
    let mut places = BTreeMap::new();
    for (name, info) in header.tensors() {
        let element = element(info.dtype).ok_or_else(|| WeightsError::Type {
            path: path.to_owned(),
            name: name.clone(),
            dtype: format!("{:?}", info.dtype),
        })?;
        let at = 8 + length + info.data_offsets.0 as u64;
        places.insert(name.clone(), Place::dense(element, info.shape.clone(), at));
    }
    let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
    TensorFile::new(path, bytes, places, metadata)
}

/// What a file that begins with `head` seems to be, for people.
fn looks_like(head: &[u8]) -> &'static str {
    // A letter may go on behind the head.
    let is_whole = std::str::from_utf8(head).map_or_else(|error| error.error_len().is_none(), |_| true);
    let is_text = is_whole && head.iter().all(|byte| !byte.is_ascii_control() || byte.is_ascii_whitespace());
    match head {
        [0xff, 0xd8, 0xff, ..] => "a JPEG picture",
        [0x89, b'P', b'N', b'G', ..] => "a PNG picture",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "a WebP picture",
        [b'G', b'I', b'F', b'8', ..] => "a GIF picture",
        [0x1f, 0x8b, ..] => "what gzip has packed",
        _ if is_text => "a text",
        _ => "nothing that is known here",
    }
}

/// The element type that safetensors calls `dtype`.
pub(super) fn element(dtype: Dtype) -> Option<Element> {
    Some(match dtype {
        Dtype::F32 => Element::F32,
        Dtype::F16 => Element::F16,
        Dtype::BF16 => Element::BF16,
        Dtype::F64 => Element::F64,
        Dtype::I64 => Element::I64,
        Dtype::I32 => Element::I32,
        Dtype::U32 => Element::U32,
        Dtype::I16 => Element::I16,
        Dtype::I8 => Element::I8,
        Dtype::U8 => Element::U8,
        Dtype::BOOL => Element::Bool,
        _ => return None,
    })
}

/// What an index says of several files that hold one model.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// A model in several files.
struct Sharded {
    path: String,
    files: Vec<TensorFile>,
    /// Which file holds each tensor.
    owners: BTreeMap<String, usize>,
    metadata: BTreeMap<String, String>,
}

impl Index {
    fn read(path: &Path) -> Result<Index, WeightsError> {
        let name = path.display().to_string();
        let text = std::fs::read(path).map_err(|source| WeightsError::Io { path: name.clone(), source })?;
        let fail = |reason: String| WeightsError::Layout { path: name.clone(), reason };
        let index: Index = serde_json::from_slice(&text).map_err(|error| fail(error.to_string()))?;
        for file in index.weight_map.values() {
            // An index names files beside it, and none elsewhere.
            let mut parts = Path::new(file).components();
            let here = matches!((parts.next(), parts.next()), (Some(std::path::Component::Normal(_)), None));
            if !here || file.contains('\\') {
                return Err(fail(format!("\"{file}\" is no file beside it")));
            }
        }
        Ok(index)
    }
}

impl Sharded {
    fn open(path: &Path) -> Result<Sharded, WeightsError> {
        let index = Index::read(path)?;
        let (mut files, mut numbers, mut owners) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        for (tensor, file) in index.weight_map {
            let number = match numbers.get(&file) {
                Some(number) => *number,
                None => {
                    let beside = path.with_file_name(&file);
                    files.push(open_bytes(&beside.display().to_string(), open_file(&beside)?)?);
                    numbers.insert(file, files.len() - 1);
                    files.len() - 1
                }
            };
            if files[number].shape(&tensor).is_none() {
                return Err(missing(files[number].path(), &tensor));
            }
            owners.insert(tensor, number);
        }
        Ok(Sharded { metadata: BTreeMap::new(), path: path.display().to_string(), files, owners })
    }
}

impl TensorSource for Sharded {
    fn path(&self) -> &str {
        &self.path
    }

    fn shapes(&self) -> Vec<(&str, &[usize])> {
        let shape = |(name, owner): (&'_ String, &usize)| self.files[*owner].entry(name);
        self.owners.iter().filter_map(shape).collect()
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.files[*self.owners.get(name)?].shape(name)
    }

    fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    fn read_rows(&self, name: &str, first: usize, count: usize) -> Result<Tensor, WeightsError> {
        let owner = self.owners.get(name).ok_or_else(|| missing(&self.path, name))?;
        self.files[*owner].read_rows(name, first, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_told_as_what_they_look_like() {
        for (other, kind) in [
            (&b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"[..], "a JPEG picture"),
            (b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR", "a PNG picture"),
            ("version \u{fc}ber alles".as_bytes(), "a text"),
            (&[0xff; 40], "nothing that is known here"),
        ] {
            let error = open_bytes("cat.jpg", Bytes::Memory(other.to_vec().into())).expect_err("no tensors");
            assert_eq!(error.to_string(), format!("cat.jpg: is no safetensors file: it looks like {kind}"));
        }
    }
}
