//! ONNX files: the messages that a model needs of the format, and writing them with tensors from any source.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use prost::Message;

use super::save::beside;
use super::{Tensor, TensorSource, WeightsError};

/// Version of the operators that models are written with.
pub const OPSET: i64 = 17;
/// Version of the format that goes with it.
const IR_VERSION: i64 = 8;
/// Largest file: its readers refuse messages of 2 GiB. Larger models keep their numbers in a file beside.
const MOST_BYTES: u64 = 1_500_000_000;
/// Where the numbers of a tensor begin in that file: at a multiple of this, so that it can be mapped into memory.
const ALIGNMENT: u64 = 4096;

/// 32-bit floats, as the format numbers its types.
pub const FLOAT: i32 = 1;
/// 64-bit integers.
pub const INT64: i32 = 7;

/// A key and a text (`StringStringEntryProto`).
#[derive(Clone, PartialEq, Message)]
pub struct Entry {
    /// The key.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The text.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// A set of operators (`OperatorSetIdProto`).
#[derive(Clone, PartialEq, Message)]
pub struct OperatorSet {
    /// Empty for ONNX's own.
    #[prost(string, tag = "1")]
    pub domain: String,
    /// Its version.
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// `TensorProto`.
#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    /// Extents.
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    /// [`FLOAT`] or [`INT64`].
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    /// Its name.
    #[prost(string, tag = "8")]
    pub name: String,
    /// Its numbers, little-endian.
    #[prost(bytes = "vec", optional, tag = "9")]
    pub raw_data: Option<Vec<u8>>,
    /// Where its numbers lie in a file beside.
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<Entry>,
    /// 1 where they do.
    #[prost(int32, optional, tag = "14")]
    pub data_location: Option<i32>,
}

/// `AttributeProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// A float.
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    /// An integer.
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    /// Integers.
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub ints: Vec<i64>,
    /// Which of these: 1 float, 2 integer, 7 integers.
    #[prost(int32, tag = "20")]
    pub kind: i32,
}

impl Attribute {
    /// A float.
    pub fn float(name: &str, f: f32) -> Attribute {
        Attribute { name: name.to_owned(), f: Some(f), kind: 1, ..Attribute::default() }
    }

    /// An integer.
    pub fn int(name: &str, i: i64) -> Attribute {
        Attribute { name: name.to_owned(), i: Some(i), kind: 2, ..Attribute::default() }
    }

    /// Integers.
    pub fn ints(name: &str, ints: &[i64]) -> Attribute {
        Attribute { name: name.to_owned(), ints: ints.to_vec(), kind: 7, ..Attribute::default() }
    }
}

/// `NodeProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Node {
    /// Names of its inputs.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// Names of its outputs.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// Its own name.
    #[prost(string, tag = "3")]
    pub name: String,
    /// Its operator.
    #[prost(string, tag = "4")]
    pub op_type: String,
    /// Its settings.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<Attribute>,
}

/// An extent, known or named.
#[derive(Clone, PartialEq, Message)]
pub struct Dimension {
    /// Known.
    #[prost(int64, optional, tag = "1")]
    pub dim_value: Option<i64>,
    /// Named.
    #[prost(string, optional, tag = "2")]
    pub dim_param: Option<String>,
}

/// `TensorShapeProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Shape {
    /// Extents.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<Dimension>,
}

/// `TypeProto.Tensor`.
#[derive(Clone, PartialEq, Message)]
pub struct TensorKind {
    /// [`FLOAT`] or [`INT64`].
    #[prost(int32, tag = "1")]
    pub elem_type: i32,
    /// Its shape.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<Shape>,
}

/// `TypeProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Kind {
    /// Of a tensor.
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorKind>,
}

/// An input or output (`ValueInfoProto`).
#[derive(Clone, PartialEq, Message)]
pub struct Port {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its type.
    #[prost(message, optional, tag = "2")]
    pub kind: Option<Kind>,
}

impl Port {
    /// A tensor of numbers of the type `elem_type`, whose first axis is the batch.
    pub fn batched(name: &str, elem_type: i32, rest: &[usize]) -> Port {
        let batch = Dimension { dim_value: None, dim_param: Some("batch".to_owned()) };
        let known = rest.iter().map(|extent| Dimension { dim_value: Some(*extent as i64), dim_param: None });
        let shape = Some(Shape { dim: std::iter::once(batch).chain(known).collect() });
        Port { name: name.to_owned(), kind: Some(Kind { tensor_type: Some(TensorKind { elem_type, shape }) }) }
    }
}

/// `GraphProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Graph {
    /// Operations, each after those that it needs.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<Node>,
    /// Its name.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Weights and constants.
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    /// Inputs.
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<Port>,
    /// Outputs.
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<Port>,
}

/// `ModelProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Model {
    /// Version of the format.
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    /// Who wrote it.
    #[prost(string, tag = "2")]
    pub producer_name: String,
    /// In which version.
    #[prost(string, tag = "3")]
    pub producer_version: String,
    /// The graph.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<Graph>,
    /// Operators it is made of.
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSet>,
    /// Free texts.
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<Entry>,
}

impl Model {
    /// Of `graph`.
    pub fn new(graph: Graph, metadata: &[(&str, String)]) -> Model {
        let entry = |(key, value): &(&str, String)| Entry { key: (*key).to_owned(), value: value.clone() };
        Model {
            ir_version: IR_VERSION,
            producer_name: "unmask".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(graph),
            opset_import: vec![OperatorSet { domain: String::new(), version: OPSET }],
            metadata_props: metadata.iter().map(entry).collect(),
        }
    }
}

/// Writes `model` to `path`, whole or not at all, with the numbers of the tensors `weights` of `source`.
///
/// Numbers of more than 1.5 GB lie in `PATH.data` beside it, which has to stay there.
///
/// # Errors
/// [`WeightsError::Io`] naming the file, and what reading gives.
pub fn write_onnx(
    path: &Path,
    model: Model,
    source: &dyn TensorSource,
    weights: &[String],
) -> Result<(), WeightsError> {
    write_with(path, model, source, weights, MOST_BYTES)
}

fn write_with(
    path: &Path,
    mut model: Model,
    source: &dyn TensorSource,
    weights: &[String],
    most: u64,
) -> Result<(), WeightsError> {
    let io = |source| WeightsError::Io { path: path.display().to_string(), source };
    let length = |name: &String| source.shape(name).map_or(0, |shape| shape.iter().product::<usize>() as u64 * 4);
    let inside = weights.iter().map(length).sum::<u64>() <= most;
    let mut tensors = Vec::with_capacity(weights.len());
    let bytes = |tensor: &Tensor| -> Vec<u8> { tensor.data.iter().flat_map(|x| x.to_le_bytes()).collect() };
    let proto = |name: &str, tensor: &Tensor| TensorProto {
        dims: tensor.shape.iter().map(|extent| *extent as i64).collect(),
        data_type: FLOAT,
        name: name.to_owned(),
        ..TensorProto::default()
    };
    if inside {
        for name in weights {
            let tensor = source.read(name)?;
            tensors.push(TensorProto { raw_data: Some(bytes(&tensor)), ..proto(name, &tensor) });
        }
    } else {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".data");
        let data = path.with_file_name(&name);
        beside(&data, |file| {
            let mut file = BufWriter::new(File::create(file).map_err(io)?);
            let mut at = 0u64;
            for weight in weights {
                let tensor = source.read(weight)?;
                let padding = at.next_multiple_of(ALIGNMENT) - at;
                file.write_all(&vec![0; padding as usize]).map_err(io)?;
                at += padding;
                let bytes = bytes(&tensor);
                file.write_all(&bytes).map_err(io)?;
                let entry = |key: &str, value: String| Entry { key: key.to_owned(), value };
                let external_data = vec![
                    entry("location", name.to_string_lossy().into_owned()),
                    entry("offset", at.to_string()),
                    entry("length", bytes.len().to_string()),
                ];
                at += bytes.len() as u64;
                tensors.push(TensorProto { external_data, data_location: Some(1), ..proto(weight, &tensor) });
            }
            file.flush().map_err(io)
        })?;
    }
    if let Some(graph) = &mut model.graph {
        graph.initializer.splice(0..0, tensors);
    }
    beside(path, |file| std::fs::write(file, model.encode_to_vec()).map_err(io))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::Tensors;

    #[test]
    fn large_models_keep_their_numbers_beside() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("m.onnx");
        let mut source = Tensors::default();
        source.insert("a", &[2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        source.insert("b", &[1], vec![-0.5]);
        let weights = ["a".to_owned(), "b".to_owned()];
        for most in [28, 27] {
            let model = Model::new(Graph::default(), &[("key", "text".to_owned())]);
            write_with(&path, model, &source, &weights, most).expect("written");
            let model = Model::decode(std::fs::read(&path).expect("read").as_slice()).expect("a model");
            let tensors = model.graph.expect("a graph").initializer;
            assert_eq!((tensors[0].dims.as_slice(), tensors[1].name.as_str()), ([2, 3].as_slice(), "b"));
            let want = (-0.5f32).to_le_bytes();
            if most == 28 {
                assert_eq!(tensors[1].raw_data.as_deref(), Some(want.as_slice()));
            } else {
                let told: Vec<&str> = tensors[1].external_data.iter().map(|entry| entry.value.as_str()).collect();
                assert_eq!(told, ["m.onnx.data", "4096", "4"]);
                assert_eq!(std::fs::read(folder.path().join("m.onnx.data")).expect("read")[4096..], want);
            }
        }
    }
}
