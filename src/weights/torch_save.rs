//! Writing what `torch.load` reads: `{"model": {name: tensor}}`, as the original code keeps its checkpoints.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::save::{Output, beside};
use super::{Storage, TensorSource, WeightsError};

/// Folder within the archive; any name serves.
const FOLDER: &str = "archive";
/// Storages begin at multiples of this many bytes, as PyTorch writes them.
const ALIGNMENT: u16 = 64;

/// Writes `outputs` to `path`, whole or not at all.
///
/// # Errors
/// [`WeightsError::Io`] naming the file, and what reading gives.
pub fn write_torch(
    path: &Path,
    source: &dyn TensorSource,
    outputs: &[Output],
    storage: Storage,
) -> Result<(), WeightsError> {
    let io = |source: std::io::Error| WeightsError::Io { path: path.display().to_string(), source };
    beside(path, |beside| {
        let mut archive = ZipWriter::new(BufWriter::new(File::create(beside).map_err(io)?));
        let mut put = |name: &str, bytes: &[u8]| -> Result<(), WeightsError> {
            let options = SimpleFileOptions::default()
                .compression_method(CompressionMethod::Stored)
                .with_alignment(ALIGNMENT)
                .large_file(bytes.len() as u64 >= u64::from(u32::MAX));
            archive.start_file(format!("{FOLDER}/{name}"), options).map_err(|error| io(error.into()))?;
            archive.write_all(bytes).map_err(io)
        };
        put("data.pkl", &structure(outputs, storage))?;
        put("byteorder", b"little")?;
        for (key, output) in outputs.iter().enumerate() {
            put(&format!("data/{key}"), &output.bytes(source, storage)?)?;
        }
        put("version", b"3\n")?;
        let mut file = archive.finish().map_err(|error| io(error.into()))?;
        file.flush().map_err(io)
    })
}

/// The pickle: protocol 2, storages by number.
fn structure(outputs: &[Output], storage: Storage) -> Vec<u8> {
    let class = match storage {
        Storage::F32 => "FloatStorage",
        Storage::F16 => "HalfStorage",
    };
    let mut pickle = b"\x80\x02}".to_vec();
    text(&mut pickle, "model");
    pickle.extend(b"}(");
    for (key, output) in outputs.iter().enumerate() {
        text(&mut pickle, &output.name);
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut pickle, "storage");
        pickle.extend(format!("ctorch\n{class}\n").bytes());
        text(&mut pickle, &key.to_string());
        text(&mut pickle, "cpu");
        number(&mut pickle, output.len());
        // The storage, and the offset in it.
        pickle.extend(b"tQK\x00");
        numbers(&mut pickle, &output.shape);
        let mut strides = vec![1; output.shape.len()];
        for axis in (1..strides.len()).rev() {
            strides[axis - 1] = strides[axis] * output.shape[axis];
        }
        numbers(&mut pickle, &strides);
        // No gradient is kept, and an empty OrderedDict of hooks.
        pickle.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    pickle.extend(b"us.");
    pickle
}

fn text(pickle: &mut Vec<u8>, text: &str) {
    pickle.push(b'X');
    pickle.extend((text.len() as u32).to_le_bytes());
    pickle.extend(text.bytes());
}

/// An integer of eight bytes, which no tensor's extents exceed.
fn number(pickle: &mut Vec<u8>, number: usize) {
    pickle.extend([0x8a, 8]);
    pickle.extend((number as i64).to_le_bytes());
}

fn numbers(pickle: &mut Vec<u8>, all: &[usize]) {
    pickle.push(b'(');
    all.iter().for_each(|one| number(pickle, *one));
    pickle.push(b't');
}
