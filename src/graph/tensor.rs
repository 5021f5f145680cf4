//! Tensors of static shape and the graph that connects them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::{GraphError, Node, Op};

/// Element type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// 32-bit float.
    F32,
    /// 16-bit float, for storage: kernels compute in 32 bits.
    F16,
    /// 32-bit unsigned integer, for indices and packed pixels.
    U32,
}

impl DType {
    /// Bytes of an element.
    pub fn bytes(self) -> u64 {
        match self {
            DType::F32 | DType::U32 => 4,
            DType::F16 => 2,
        }
    }
}

/// Shape and element type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorType {
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// Element type.
    pub dtype: DType,
}

impl std::fmt::Display for TensorType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?}", self.dtype, self.shape)
    }
}

impl TensorType {
    /// An f32 tensor.
    pub fn f32(shape: &[usize]) -> Self {
        TensorType { shape: shape.to_vec(), dtype: DType::F32 }
    }

    /// A u32 tensor.
    pub fn u32(shape: &[usize]) -> Self {
        TensorType { shape: shape.to_vec(), dtype: DType::U32 }
    }

    /// A tensor of this shape with elements of type `dtype`.
    #[must_use]
    pub fn of(self, dtype: DType) -> Self {
        TensorType { dtype, ..self }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes, in whole words.
    pub fn bytes(&self) -> u64 {
        (self.len() as u64 * self.dtype.bytes()).next_multiple_of(4)
    }

    /// Extent of the last axis (1 for a scalar).
    pub fn last(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// Product of all extents but the last.
    pub fn rows(&self) -> usize {
        self.shape.split_last().map_or(1, |(_, rest)| rest.iter().product())
    }
}

/// A tensor of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Var(pub(super) usize);

#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// Memory given from outside, by name.
    External(String),
    /// An output of a node.
    Node(usize),
}

#[derive(Clone, Debug)]
pub(super) struct VarInfo {
    pub ty: TensorType,
    pub origin: Origin,
}

/// Which of several kernels to use, by class of shapes, where more than one would do.
pub type Choices = BTreeMap<String, String>;

/// Ops in the order they were added, each after those it reads.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    pub(super) vars: Vec<VarInfo>,
    pub(super) nodes: Vec<Node>,
    pub(super) stores: Vec<(Var, String)>,
    /// Ranges of nodes whose results are not kept for the gradients, but computed again.
    pub(super) recomputed: Vec<Range<usize>>,
    pub(super) choices: Choices,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Graph::default()
    }

    /// A tensor whose memory is given to the plan under `name`: an input, a weight.
    pub fn external(&mut self, name: impl Into<String>, ty: TensorType) -> Var {
        self.vars.push(VarInfo { ty, origin: Origin::External(name.into()) });
        Var(self.vars.len() - 1)
    }

    /// Adds `op` on `inputs` and returns its outputs.
    ///
    /// # Errors
    /// [`GraphError::Shape`] where the op's shape rule refuses the inputs.
    pub fn add(&mut self, op: impl Op, inputs: &[Var]) -> Result<Vec<Var>, GraphError> {
        let types: Vec<&TensorType> = inputs.iter().map(|var| &self.vars[var.0].ty).collect();
        let fail = |reason| GraphError::Shape { op: op.name(), reason };
        if let Some(ty) = types.iter().find(|ty| ty.is_empty()) {
            return Err(fail(format!("an input of shape {:?} is empty", ty.shape)));
        }
        let outputs = op.output_types(&types).map_err(fail)?;
        let node = self.nodes.len();
        let outputs: Vec<Var> = outputs
            .into_iter()
            .map(|ty| {
                self.vars.push(VarInfo { ty, origin: Origin::Node(node) });
                Var(self.vars.len() - 1)
            })
            .collect();
        self.nodes.push(Node { op: Arc::new(op), inputs: inputs.to_vec(), outputs: outputs.clone() });
        Ok(outputs)
    }

    /// Adds an op with a single output.
    pub fn add1(&mut self, op: impl Op, inputs: &[Var]) -> Result<Var, GraphError> {
        Ok(self.add(op, inputs)?[0])
    }

    /// Asks for `var` to be computed straight into the memory given under `name`.
    pub fn store(&mut self, var: Var, name: impl Into<String>) {
        self.stores.push((var, name.into()));
    }

    /// The ops so far, in order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Which of several kernels ops are to use.
    pub fn choose(&mut self, choices: Choices) {
        self.choices = choices;
    }

    /// What was chosen so far.
    pub fn choices(&self) -> &Choices {
        &self.choices
    }

    /// Number of ops so far.
    pub fn ops(&self) -> usize {
        self.nodes.len()
    }

    /// Lets gradients compute the results of the ops from number `first` on once more instead of keeping them.
    ///
    /// What these ops read from before stays in memory, and so does what later ops read of them: for a block of a
    /// transformer, its input and its output. Call it before the gradients are built.
    pub fn recompute_from(&mut self, first: usize) {
        debug_assert!(self.recomputed.last().is_none_or(|range| range.end <= first), "ranges follow each other");
        self.recomputed.push(first..self.nodes.len());
    }

    /// Shape and element type of `var`.
    pub fn ty(&self, var: Var) -> &TensorType {
        &self.vars[var.0].ty
    }

    /// Shape of `var`.
    pub fn shape(&self, var: Var) -> &[usize] {
        &self.vars[var.0].ty.shape
    }

    /// Names and types of the external tensors.
    pub fn externals(&self) -> impl Iterator<Item = (&str, &TensorType)> {
        self.vars.iter().filter_map(|info| match &info.origin {
            Origin::External(name) => Some((name.as_str(), &info.ty)),
            Origin::Node(_) => None,
        })
    }
}
