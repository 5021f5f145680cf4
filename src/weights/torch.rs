//! Files written by `torch.save`: the structure is a pickle, the numbers lie beside it, in a zip archive or, before
//! PyTorch 1.6, one after the other behind it.

use std::collections::{BTreeMap, HashMap};

use super::pickle::{self, Object, Pickle, Value};
use super::source::{Place, TensorFile};
use super::{Element, WeightsError};
use crate::platform::{Bytes, Stream};

/// Most bytes of structure: a checkpoint of a thousand tensors takes a tenth of a megabyte, and what is read of it
/// takes many times as much memory.
const MOST_STRUCTURE: u64 = 4 << 20;
/// How a file begins that is no archive: the magic number 0x1950a86a20f9469cfc6c as a pickle of protocol 2.
const LEGACY: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
/// Keys under which a checkpoint may hold its weights.
const NESTED: [&str; 3] = ["model", "state_dict", "module"];

/// Whether a file that begins with `head` is one of these.
pub fn is_torch(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04") || head.starts_with(LEGACY)
}

/// Opens a file of `torch.save`; `path` names it in messages.
///
/// # Errors
/// [`WeightsError::Format`] for anything but a checkpoint of tensors, with what was found.
pub fn open(path: &str, bytes: Bytes) -> Result<TensorFile, WeightsError> {
    let format = |reason: String| WeightsError::Torch { path: path.to_owned(), reason };
    let head = bytes.read(0, LEGACY.len() as u64).map_err(|error| format(error.to_string()))?;
    let found = match head.as_slice() {
        LEGACY => legacy(&bytes),
        _ => archive(&bytes),
    };
    let (structure, storages) = found.map_err(format)?;
    let places = places(&structure, &storages).map_err(format)?;
    TensorFile::new(path, bytes, places, BTreeMap::new())
}

/// Where a storage lies: first byte and bytes.
type Storages = HashMap<String, (u64, u64)>;

fn archive(bytes: &Bytes) -> Result<(Pickle, Storages), String> {
    let stream = std::io::BufReader::new(Stream::new(bytes, 0));
    let mut archive = zip::ZipArchive::new(stream).map_err(|error| error.to_string())?;
    let mut structure = None;
    let mut storages = Storages::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|error| error.to_string())?;
        let name = entry.name().map_err(|error| error.to_string())?.into_owned();
        let inner = name.split_once('/').map_or(name.as_str(), |(_, inner)| inner);
        let wanted = inner == "data.pkl" || inner.starts_with("data/");
        if !wanted || entry.is_dir() {
            continue;
        }
        if entry.compression() != zip::CompressionMethod::Stored {
            return Err(format!("{name} is compressed ({}); torch.save stores it as it is", entry.compression()));
        }
        let start = entry.data_start().ok_or_else(|| format!("{name} has no place in the archive"))?;
        let place = (start, entry.size());
        if start.checked_add(entry.size()).is_none_or(|end| end > bytes.size()) {
            return Err(format!("{name} does not lie within the archive"));
        }
        match inner.strip_prefix("data/") {
            Some(key) => _ = storages.insert(key.to_owned(), place),
            None => structure = Some(place),
        }
    }
    let (start, length) = structure.ok_or("the archive holds no data.pkl: it is none of torch.save")?;
    if length > MOST_STRUCTURE {
        return Err(format!("data.pkl has {length} bytes; expected {MOST_STRUCTURE} at most"));
    }
    let structure = bytes.read(start, length).map_err(|error| error.to_string())?;
    let (pickle, _) = pickle::read(&structure)?;
    Ok((pickle, storages))
}

fn legacy(bytes: &Bytes) -> Result<(Pickle, Storages), String> {
    let head = bytes.read(0, MOST_STRUCTURE).map_err(|error| error.to_string())?;
    let mut at = LEGACY.len();
    let mut next = || -> Result<Pickle, String> {
        let (pickle, length) = pickle::read(&head[at..])?;
        at += length;
        Ok(pickle)
    };
    let (version, _system, structure, keys) = (next()?, next()?, next()?, next()?);
    if version.root != Value::Int(1001) {
        return Err(format!("version {:?} of the format before archives; expected 1001", version.root));
    }
    let keys = keys.sequence(&keys.root).ok_or("the list of storages is missing")?;
    // Sizes of elements are known from the tensors alone.
    let elements = element_sizes(&structure)?;
    let mut storages = Storages::new();
    let mut start = at as u64;
    for key in keys {
        let Value::Text(key) = key else { return Err("a storage without a name".to_owned()) };
        let count = bytes.read(start, 8).map_err(|error| error.to_string())?;
        let count: [u8; 8] = count.try_into().map_err(|_| format!("it ends before storage {key}"))?;
        let size = *elements.get(&**key).ok_or_else(|| format!("no tensor uses storage {key}"))?;
        let length = u64::from_le_bytes(count).checked_mul(size as u64);
        let end = length.and_then(|length| (start + 8).checked_add(length)).filter(|end| *end <= bytes.size());
        let end = end.ok_or_else(|| format!("it ends before the end of storage {key}"))?;
        storages.insert(key.to_string(), (start + 8, end - start - 8));
        start = end;
    }
    Ok((structure, storages))
}

/// What an identifier of a storage says: element type and key.
fn storage(pickle: &Pickle, id: &Value) -> Result<(Element, String), String> {
    let parts = pickle.sequence(id).unwrap_or_default();
    let [Value::Text(kind), class, Value::Text(key), ..] = parts else {
        return Err("a storage without a type and a key".to_owned());
    };
    if &**kind != "storage" {
        return Err(format!("something outside the pickle of kind \"{kind}\"; expected a storage"));
    }
    let Value::Global(class) = class else { return Err("a storage without a type".to_owned()) };
    let element = match &**class {
        "torch.FloatStorage" => Element::F32,
        "torch.HalfStorage" => Element::F16,
        "torch.BFloat16Storage" => Element::BF16,
        "torch.DoubleStorage" => Element::F64,
        "torch.LongStorage" => Element::I64,
        "torch.IntStorage" => Element::I32,
        "torch.ShortStorage" => Element::I16,
        "torch.CharStorage" => Element::I8,
        "torch.ByteStorage" => Element::U8,
        "torch.BoolStorage" => Element::Bool,
        other => return Err(format!("a storage of type {other}; expected one of floats or integers")),
    };
    Ok((element, key.to_string()))
}

/// Bytes of an element by key of the storage.
fn element_sizes(pickle: &Pickle) -> Result<HashMap<String, usize>, String> {
    let mut sizes = HashMap::new();
    for object in pickle.objects() {
        if let Object::Outside(id) = object {
            let (element, key) = storage(pickle, id)?;
            sizes.insert(key, element.size());
        }
    }
    Ok(sizes)
}

/// Where each tensor of the checkpoint lies.
fn places(pickle: &Pickle, storages: &Storages) -> Result<BTreeMap<String, Place>, String> {
    let nested =
        NESTED.iter().find_map(|key| pickle.get(&pickle.root, key).filter(|value| pickle.dict(value).is_some()));
    let state = nested.unwrap_or(&pickle.root);
    let entries = pickle.dict(state).ok_or("it holds no dictionary of tensors")?;
    let mut places = BTreeMap::new();
    for (name, value) in entries {
        let Value::Text(name) = name else { continue };
        if let Some(place) = tensor(pickle, storages, value).map_err(|error| format!("tensor \"{name}\": {error}"))? {
            places.insert(name.to_string(), place);
        }
    }
    match places.is_empty() {
        true => Err(format!(
            "it holds no tensors, neither by name nor under {}",
            NESTED.map(|n| format!("\"{n}\"")).join(", ")
        )),
        false => Ok(places),
    }
}

/// Where the tensor `value` lies, if it is one.
fn tensor(pickle: &Pickle, storages: &Storages, value: &Value) -> Result<Option<Place>, String> {
    let Some(Object::Made { by, arguments }) = pickle.object(value) else { return Ok(None) };
    let arguments = pickle.sequence(arguments).unwrap_or_default();
    match &**by {
        // A parameter wraps a tensor; one in another parameter would be no file of torch.save.
        "torch._utils._rebuild_parameter" => match arguments.first().and_then(|inner| pickle.object(inner)) {
            Some(Object::Made { by, .. }) if &**by == "torch._utils._rebuild_tensor_v2" => {
                tensor(pickle, storages, &arguments[0])
            }
            _ => Err("a parameter without a tensor".to_owned()),
        },
        "torch._utils._rebuild_tensor_v2" => {
            let [outside, offset, shape, strides, ..] = arguments else { return Err("too few arguments".to_owned()) };
            let Some(Object::Outside(id)) = pickle.object(outside) else { return Err("no storage".to_owned()) };
            let (element, key) = storage(pickle, id)?;
            let (start, bytes) = *storages.get(&key).ok_or_else(|| format!("storage {key} is missing"))?;
            let numbers = |value: &Value| -> Result<Vec<usize>, String> {
                pickle.sequence(value).ok_or("no shape")?.iter().map(number).collect()
            };
            let (shape, strides) = (numbers(shape)?, numbers(strides)?);
            if shape.len() != strides.len() {
                return Err(format!("shape {shape:?} and strides {strides:?} do not go together"));
            }
            let first = number(offset)?.checked_mul(element.size()).ok_or("an offset beyond measure")? as u64;
            let place = Place { element, shape, strides, at: start + first.min(bytes) };
            let end = place.span().and_then(|span| span.checked_mul(element.size()));
            if end.is_none_or(|end| first.checked_add(end as u64).is_none_or(|end| end > bytes)) {
                return Err(format!("shape {:?} does not lie within the {bytes} bytes of storage {key}", place.shape));
            }
            Ok(Some(place))
        }
        _ => Ok(None),
    }
}

fn number(value: &Value) -> Result<usize, String> {
    match value {
        Value::Int(number) => usize::try_from(*number).map_err(|_| format!("{number} where an extent belongs")),
        other => Err(format!("{other:?} where an extent belongs")),
    }
}
