//! What an op is to the graph.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use super::{Graph, GraphError, Launcher, TensorType, Var};

/// One kind of computation: shape rule, gradient rule and launch, side by side.
pub trait Op: Any + Debug + Send + Sync {
    /// Name, also that of its shader.
    fn name(&self) -> &'static str;

    /// Types of the outputs for inputs of types `inputs`, or why they do not go together.
    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String>;

    /// Adds the ops that compute the gradients of the inputs.
    ///
    /// `grads` holds a gradient an output (`None` where nothing depends on it); `wants` tells which inputs need one.
    /// Inputs that are not wanted may get `None`.
    fn gradient(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Var>],
        wants: &[bool],
    ) -> Result<Vec<Option<Var>>, GraphError> {
        let _ = (graph, node, grads);
        match wants.iter().position(|wanted| *wanted) {
            Some(input) => Err(GraphError::NoGradient { op: self.name(), input }),
            None => Ok(vec![None; wants.len()]),
        }
    }

    /// Writes the kernel launches that compute the outputs.
    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError>;

    /// This op with `consumer` done in its epilogue, or `None` where that cannot be: nothing else reads its last output.
    ///
    /// The absorbed op takes this op's inputs followed by the consumer's other inputs. In place of its last output it has
    /// the consumer's.
    fn absorb(&self, absorption: &Absorption<'_>) -> Option<Arc<dyn Op>> {
        let _ = absorption;
        None
    }

    /// This op with both of `readers` done in its epilogue, or `None` where that cannot be: nothing else reads its last
    /// output, and they read nothing else.
    ///
    /// In place of that output the absorbed op has the second reader's and, last, the first's.
    fn absorb_both(&self, readers: [&dyn Op; 2]) -> Option<Arc<dyn Op>> {
        let _ = readers;
        None
    }

    /// This op with `sibling` done beside it, or `None` where that cannot be.
    ///
    /// All that `sibling` reads is what this op reads as input `at`; `inputs` are the types of this op's inputs. The
    /// joint op has the same inputs; its outputs are this op's, then the sibling's.
    fn beside(&self, sibling: &dyn Op, at: usize, inputs: &[&TensorType]) -> Option<Arc<dyn Op>> {
        let _ = (sibling, at, inputs);
        None
    }

    /// Floating-point operations of one run.
    fn flops(&self, inputs: &[&TensorType], outputs: &[&TensorType]) -> u64 {
        let _ = (inputs, outputs);
        0
    }
}

/// A chance to fuse: the last output of an op is read by `consumer` alone.
#[derive(Debug)]
pub struct Absorption<'a> {
    /// The op that reads the output.
    pub consumer: &'a dyn Op,
    /// At which input it does.
    pub at: usize,
    /// Types of the consumer's inputs.
    pub inputs: Vec<&'a TensorType>,
}

impl Absorption<'_> {
    /// The consumer as op `T`.
    pub fn consumer_as<T: Op>(&self) -> Option<&T> {
        (self.consumer as &dyn Any).downcast_ref()
    }
}

/// An op in a graph.
#[derive(Clone, Debug)]
pub struct Node {
    /// The op.
    pub op: Arc<dyn Op>,
    /// What it reads.
    pub inputs: Vec<Var>,
    /// What it writes.
    pub outputs: Vec<Var>,
}
