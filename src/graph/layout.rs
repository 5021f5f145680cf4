//! The plan before there is a device: fused ops, their launches and the memory they need.

use std::collections::HashMap;

use super::memory::{self, Assignment, Lifetime};
use super::tensor::Origin;
use super::{Arg, Call, Caps, DType, Graph, GraphError, Launcher, TensorType, Var, fuse};
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
    /// Tensor that holds each variable's data, aliases resolved.
    pub(super) home: Vec<usize>,
    pub(super) slots: Vec<u64>,
    lower_bound: u64,
    flops: u64,
    op_flops: HashMap<&'static str, u64>,
}

impl Layout {
    /// Lays out `graph` so that `roots` can be read after a run.
    ///
    /// # Errors
    /// [`GraphError::TooLarge`] where a tensor exceeds what `caps` can bind.
    pub fn of(graph: &Graph, roots: &[Var], caps: Caps) -> Result<Layout, GraphError> {
        if !caps.f16 && graph.vars.iter().any(|info| info.ty.dtype == DType::F16) {
            return Err(GraphError::NoHalf);
        }
        let nodes = fuse::fused_nodes(graph, roots);
        let mut home: Vec<usize> = (0..graph.vars.len()).collect();
        for node in nodes.iter().filter(|node| node.op.is_alias()) {
            home[node.outputs[0].0] = home[node.inputs[0].0];
        }

        let mut tensors: Vec<(TensorType, Place)> =
            graph.vars.iter().map(|info| (info.ty.clone(), Place::Nowhere)).collect();
        for (index, info) in graph.vars.iter().enumerate() {
            if let Origin::External(name) = &info.origin {
                if info.ty.bytes() > caps.max_binding {
                    let (shape, bytes, limit) = (info.ty.shape.clone(), info.ty.bytes(), caps.max_binding);
                    return Err(GraphError::TooLarge { op: name.clone(), shape, bytes, limit });
                }
                tensors[index].1 = Place::External(name.clone());
            }
        }
        for (var, name) in &graph.stores {
            let tensor = home[var.0];
            if tensors[tensor].1 != Place::Nowhere {
                let reason = format!("\"{name}\" would be stored in two places");
                return Err(GraphError::Shape { op: "store", reason });
            }
            tensors[tensor].1 = Place::External(name.clone());
        }

        let mut steps = Vec::new();
        let mut spans: HashMap<usize, Lifetime> = HashMap::new();
        let (mut flops, mut op_flops) = (0, HashMap::new());
        for node in nodes.iter().filter(|node| !node.op.is_alias()) {
            let position = steps.len();
            let side = |vars: &[Var]| -> Vec<(Arg, &TensorType)> {
                vars.iter().map(|var| (Arg(home[var.0]), graph.ty(*var))).collect()
            };
            let mut launcher = Launcher {
                caps,
                choices: &graph.choices,
                inputs: side(&node.inputs),
                outputs: side(&node.outputs),
                scratch: Vec::new(),
                first_scratch: tensors.len(),
                calls: Vec::new(),
            };
            node.op.launch(&mut launcher)?;
            let types =
                |side: &[(Arg, &'_ TensorType)]| -> u64 { side.iter().map(|(_, ty)| ty.bytes()).max().unwrap_or(0) };
            debug_assert!(types(&launcher.outputs) > 0, "{} has an empty output", node.op.name());
            let input_types: Vec<&TensorType> = launcher.inputs.iter().map(|(_, ty)| *ty).collect();
            let output_types: Vec<&TensorType> = launcher.outputs.iter().map(|(_, ty)| *ty).collect();
            let work = node.op.flops(&input_types, &output_types);
            flops += work;
            *op_flops.entry(node.op.name()).or_default() += work;
            for ty in output_types.iter().copied().chain(&launcher.scratch) {
                if ty.bytes() > caps.max_binding {
                    return Err(GraphError::TooLarge {
                        op: node.op.name().to_owned(),
                        shape: ty.shape.clone(),
                        bytes: ty.bytes(),
                        limit: caps.max_binding,
                    });
                }
            }
            let shapes: Vec<String> = input_types
                .iter()
                .map(|ty| ty.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("x"))
                .collect();
            let shapes = shapes.join(", ");
            let calls = launcher.calls;
            tensors.extend(launcher.scratch.into_iter().map(|ty| (ty, Place::Nowhere)));
            for (_, arg) in calls.iter().flat_map(|call| &call.args) {
                let unused = || Lifetime { bytes: tensors[arg.0].0.bytes(), used: Vec::new(), last: position };
                let span = spans.entry(arg.0).or_insert_with(unused);
                span.last = position;
                if span.used.last() != Some(&position) {
                    span.used.push(position);
                }
            }
            steps.push(Step { op: node.op.name(), work: Work { shapes, flops: work }, calls });
        }
        for root in roots {
            if let Some(span) = spans.get_mut(&home[root.0]) {
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
        Ok(Layout { steps, tensors, home, slots: bytes, lower_bound, flops, op_flops })
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
