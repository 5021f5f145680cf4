//! The plan before there is a device: fused ops, their launches and the memory they need.

use std::collections::HashMap;

use super::memory::{self, Assignment, Lifetime};
use super::tensor::Origin;
use super::{Arg, Call, Caps, DType, Graph, GraphError, Launcher, Node, TensorType, Var, fuse};
use crate::gpu::{KernelKey, Work};

/// Where a tensor of a layout lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Memory given from outside.
    External(String),
    /// A shared slot, from this byte on.
    Slot(usize, u64),
    /// Nowhere: fused away.
    Nowhere,
}

/// The calls of one op.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub op: &'static str,
    pub work: Work,
    pub calls: Vec<Call>,
}

/// What a graph will run and how much memory it takes, known without a device.
#[derive(Clone, Debug)]
pub struct Layout {
    pub(super) steps: Vec<Step>,
    /// Type and place of each tensor: those of the graph, then scratch.
    pub(super) tensors: Vec<(TensorType, Place)>,
    pub(super) slots: Vec<u64>,
    lower_bound: u64,
    flops: u64,
    op_flops: HashMap<&'static str, u64>,
}

impl Layout {
    /// Lays out `graph` so that `roots` can be read after a run.
    ///
    /// # Errors
    /// [`GraphError::TooLarge`] where a tensor exceeds what `caps` can bind, [`GraphError::ReadFirst`] where the order of
    /// ops is wrong.
    pub fn of(graph: &Graph, roots: &[Var], caps: Caps) -> Result<Layout, GraphError> {
        if !caps.f16 && graph.vars.iter().any(|info| info.ty.dtype == DType::F16) {
            return Err(GraphError::NoHalf);
        }
        let tensors = given(graph, caps)?;
        let mut draft =
            Draft { graph, caps, tensors, steps: Vec::new(), spans: HashMap::new(), op_flops: HashMap::new() };
        for node in &fuse::fused_nodes(graph, roots) {
            draft.add(node)?;
        }
        let Draft { mut tensors, steps, mut spans, op_flops, .. } = draft;
        for root in roots {
            if let Some(span) = spans.get_mut(&root.0) {
                span.last = steps.len();
            }
        }

        let mut planned: Vec<usize> =
            spans.keys().copied().filter(|tensor| tensors[*tensor].1 == Place::Nowhere).collect();
        planned.sort_unstable();
        let lifetimes: Vec<Lifetime> = planned.iter().map(|tensor| spans[tensor].clone()).collect();
        let Assignment { place, bytes, lower_bound } = memory::assign(&lifetimes);
        for (tensor, (slot, offset)) in planned.into_iter().zip(place) {
            tensors[tensor].1 = Place::Slot(slot, offset);
        }
        let flops = op_flops.values().sum();
        Ok(Layout { steps, tensors, slots: bytes, lower_bound, flops, op_flops })
    }

    /// Bytes of the buffers that hold activations and scratch.
    pub fn activation_bytes(&self) -> u64 {
        self.slots.iter().sum()
    }

    /// The kernels of its launches, in their order.
    pub fn kernels(&self) -> Vec<KernelKey> {
        self.steps.iter().flat_map(|step| step.calls.iter().map(|call| call.key.clone())).collect()
    }

    /// Most bytes of activations live at one time; no layout of this order does with less.
    pub fn lower_bound_bytes(&self) -> u64 {
        self.lower_bound
    }

    /// Floating-point operations of one run.
    pub fn flops(&self) -> u64 {
        self.flops
    }

    /// Floating-point operations of one run in each op.
    pub fn op_flops(&self) -> &HashMap<&'static str, u64> {
        &self.op_flops
    }

    /// Number of kernel launches of one run.
    pub fn dispatches(&self) -> usize {
        self.steps.iter().map(|step| step.calls.len()).sum()
    }
}

/// The tensors of `graph`: those that are given from outside, or stored there, have their place.
fn given(graph: &Graph, caps: Caps) -> Result<Vec<(TensorType, Place)>, GraphError> {
    let mut tensors: Vec<(TensorType, Place)> =
        graph.vars.iter().map(|info| (info.ty.clone(), Place::Nowhere)).collect();
    for (tensor, info) in tensors.iter_mut().zip(&graph.vars) {
        if let Origin::External(name) = &info.origin {
            check_size(name, &info.ty, caps)?;
            tensor.1 = Place::External(name.clone());
        }
    }
    for (var, name) in &graph.stores {
        let place = &mut tensors[var.0].1;
        if *place != Place::Nowhere {
            let reason = format!("\"{name}\" would be stored in two places");
            return Err(GraphError::Shape { op: "store", reason });
        }
        *place = Place::External(name.clone());
    }
    Ok(tensors)
}

/// Fails where `ty`, which belongs to `op`, is more than a kernel can bind.
fn check_size(op: &str, ty: &TensorType, caps: Caps) -> Result<(), GraphError> {
    if ty.bytes() <= caps.max_binding {
        return Ok(());
    }
    let (shape, bytes, limit) = (ty.shape.clone(), ty.bytes(), caps.max_binding);
    Err(GraphError::TooLarge { op: op.to_owned(), shape, bytes, limit })
}

/// A layout while ops are added in their order.
struct Draft<'a> {
    graph: &'a Graph,
    caps: Caps,
    tensors: Vec<(TensorType, Place)>,
    steps: Vec<Step>,
    /// When the tensors that the steps bind are in use.
    spans: HashMap<usize, Lifetime>,
    op_flops: HashMap<&'static str, u64>,
}

impl Draft<'_> {
    /// Asks the op of `node` for its launches, and places them last.
    fn add(&mut self, node: &Node) -> Result<(), GraphError> {
        let graph = self.graph;
        let side =
            |vars: &[Var]| -> Vec<(Arg, &TensorType)> { vars.iter().map(|var| (Arg(var.0), graph.ty(*var))).collect() };
        let mut launcher = Launcher {
            caps: self.caps,
            choices: &graph.choices,
            inputs: side(&node.inputs),
            outputs: side(&node.outputs),
            scratch: Vec::new(),
            first_scratch: self.tensors.len(),
            calls: Vec::new(),
        };
        node.op.launch(&mut launcher)?;
        let Launcher { inputs, outputs, scratch, calls, .. } = launcher;
        let inputs: Vec<&TensorType> = inputs.into_iter().map(|(_, ty)| ty).collect();
        let outputs: Vec<&TensorType> = outputs.into_iter().map(|(_, ty)| ty).collect();
        let op = node.op.name();
        debug_assert!(outputs.iter().any(|ty| ty.bytes() > 0), "{op} has an empty output");
        for ty in outputs.iter().copied().chain(&scratch) {
            check_size(op, ty, self.caps)?;
        }
        let flops = node.op.flops(&inputs, &outputs);
        *self.op_flops.entry(op).or_default() += flops;
        let extents = |ty: &&TensorType| ty.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("x");
        let shapes = inputs.iter().map(extents).collect::<Vec<_>>().join(", ");

        self.check_order(node)?;
        let position = self.steps.len();
        self.tensors.extend(scratch.into_iter().map(|ty| (ty, Place::Nowhere)));
        for (_, arg) in calls.iter().flat_map(|call| &call.args) {
            let unused = || Lifetime { bytes: self.tensors[arg.0].0.bytes(), used: Vec::new(), last: position };
            let span = self.spans.entry(arg.0).or_insert_with(unused);
            span.last = position;
            if span.used.last() != Some(&position) {
                span.used.push(position);
            }
        }
        self.steps.push(Step { op, work: Work { shapes, flops }, calls });
        Ok(())
    }

    /// Fails where `node` reads what an op makes that has not run yet.
    fn check_order(&self, node: &Node) -> Result<(), GraphError> {
        let made = |input: &Var| matches!(self.graph.vars[input.0].origin, Origin::Node(_));
        let missing = |input: &&Var| made(input) && !self.spans.contains_key(&input.0);
        node.inputs.iter().find(missing).map_or(Ok(()), |input| {
            let shape = self.graph.shape(*input).to_vec();
            Err(GraphError::ReadFirst { op: node.op.name(), shape })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Op;

    /// A copy of its input.
    #[derive(Debug)]
    struct Copy;

    impl Op for Copy {
        fn name(&self) -> &'static str {
            "copy"
        }

        fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
            Ok(vec![inputs[0].clone()])
        }

        fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
            let args = [launcher.input(0), launcher.output(0)];
            launcher.call(KernelKey::new("copy"), &0u32, &args, [1, 1, 1])
        }
    }

    #[test]
    fn nothing_is_read_before_it_is_written() {
        let mut graph = Graph::new();
        let x = graph.external("x", TensorType::f32(&[2, 3]));
        let y = graph.add1(Copy, &[x]).expect("a copy");
        graph.add1(Copy, &[y]).expect("another");
        let caps = Caps {
            cpu: true,
            few_registers: false,
            f16: false,
            subgroup: None,
            matrix_units: None,
            max_binding: 1 << 20,
            max_workgroups: 65_535,
            max_invocations: 256,
            workgroup_memory: 16_384,
        };
        let tensors = given(&graph, caps).expect("small tensors");
        let mut draft =
            Draft { graph: &graph, caps, tensors, steps: Vec::new(), spans: HashMap::new(), op_flops: HashMap::new() };
        let refused = draft.add(&graph.nodes[1]).expect_err("y is not there yet").to_string();
        assert_eq!(refused, "copy reads a tensor of shape [2, 3] before any op has written it");
        draft.add(&graph.nodes[0]).expect("x is given");
        draft.add(&graph.nodes[1]).expect("y is there");
    }
}
