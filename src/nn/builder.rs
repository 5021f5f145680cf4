//! A graph under construction together with the parameters that its layers declare.

use std::collections::HashMap;

use super::{Init, ParamSpec};
use crate::graph::{DType, Graph, GraphError, TensorType, Var};
use crate::ops::{self, Form};

/// Builds a model: layers add ops to `graph` and declare parameters by name.
///
/// Two models built the same way declare the same parameters in the same order, so graphs of several batch sizes can
/// share one set of weights.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    /// The graph so far.
    pub graph: Graph,
    pub(super) recompute: bool,
    mixed: bool,
    halves: HashMap<Var, Var>,
    params: Vec<ParamSpec>,
    vars: HashMap<String, Var>,
}

impl Builder {
    /// Nothing yet.
    pub fn new() -> Self {
        Builder::default()
    }

    /// With gradients that compute what lies inside a block once more instead of keeping it, where `recompute`: a third
    /// more arithmetic, and of each block no more than one tensor `[B, N, D]` in memory.
    #[must_use]
    pub fn recomputing(self, recompute: bool) -> Self {
        Builder { recompute, ..self }
    }

    /// With products of matrices whose operands are stored in 16 bits, where `mixed`, and so with activations in 16 bits
    /// (Micikevicius et al. 2018): weights, their gradients, statistics and the loss stay in 32, as do all sums.
    #[must_use]
    pub fn mixed(self, mixed: bool) -> Self {
        Builder { mixed, ..self }
    }

    /// What stands for `x` in products.
    fn operand(&mut self, x: Var) -> Result<Var, GraphError> {
        if !self.mixed {
            return Ok(x);
        }
        if let Some(half) = self.halves.get(&x) {
            return Ok(*half);
        }
        let half = match self.params.iter_mut().find(|spec| spec.trained && self.vars.get(&spec.name) == Some(&x)) {
            // The optimiser keeps the copy up to date.
            Some(spec) => {
                spec.halved = true;
                self.graph.external(Builder::half_name(&spec.name), TensorType::f32(&spec.shape).of(DType::F16))
            }
            None => ops::cast(&mut self.graph, x, DType::F16)?,
        };
        self.halves.insert(x, half);
        Ok(half)
    }

    /// The parameter `spec`, declared on first use.
    pub fn param(&mut self, spec: ParamSpec) -> Var {
        if let Some(var) = self.vars.get(&spec.name) {
            return *var;
        }
        let var = self.graph.external(spec.name.clone(), TensorType::f32(&spec.shape));
        self.vars.insert(spec.name.clone(), var);
        self.params.push(spec);
        var
    }

    /// Parameters in the order they were declared.
    pub fn params(&self) -> &[ParamSpec] {
        &self.params
    }

    /// The variable of parameter `name`.
    pub fn var(&self, name: &str) -> Option<Var> {
        self.vars.get(name).copied()
    }

    /// `y = x Wᵀ + b` with Xavier-uniform `W [outputs, inputs]` and zero `b`, named `{name}.weight` and `{name}.bias`.
    pub fn linear(&mut self, name: &str, x: Var, outputs: usize) -> Result<Var, GraphError> {
        let inputs = self.graph.ty(x).last();
        let shape = [outputs, inputs];
        let init = Init::XavierUniform { fan_in: inputs, fan_out: outputs };
        let weight = self.param(ParamSpec::new(format!("{name}.weight"), &shape, &shape, init));
        let bias = self.param(ParamSpec::new(format!("{name}.bias"), &[outputs], &[outputs], Init::Zeros));
        self.affine(x, weight, bias)
    }

    /// `x Wᵀ + b`.
    pub fn affine(&mut self, x: Var, weight: Var, bias: Var) -> Result<Var, GraphError> {
        let (x, weight) = (self.operand(x)?, self.operand(weight)?);
        let product = ops::matmul(&mut self.graph, Form::NT, x, weight)?;
        ops::add(&mut self.graph, product, bias)
    }

    /// Layer normalisation named `{name}.weight` and `{name}.bias`.
    pub fn layer_norm(&mut self, name: &str, x: Var, eps: f32) -> Result<Var, GraphError> {
        let width = [self.graph.ty(x).last()];
        let gamma = self.param(ParamSpec::new(format!("{name}.weight"), &width, &width, Init::Ones));
        let beta = self.param(ParamSpec::new(format!("{name}.bias"), &width, &width, Init::Zeros));
        ops::layer_norm(&mut self.graph, x, gamma, beta, eps)
    }

    /// Gradients of `loss` for every trained parameter, stored under [`Builder::gradient_name`].
    ///
    /// `seed` is the gradient of the loss itself, `[1]`: 1 for one batch, 1/K for a mean over K micro-batches.
    pub fn store_gradients(&mut self, loss: Var, seed: Var) -> Result<(), GraphError> {
        let trained: Vec<(String, Var)> = self
            .params
            .iter()
            .filter(|spec| spec.trained)
            .map(|spec| (spec.name.clone(), self.vars[&spec.name]))
            .collect();
        // What products read of a parameter in 16 bits has a gradient, in 32, of its own.
        let halves = trained.iter().filter_map(|(_, var)| self.halves.get(var));
        let wrt: Vec<Var> = trained.iter().map(|(_, var)| var).chain(halves).copied().collect();
        let grads = ops::gradients_from(&mut self.graph, &[(loss, seed)], &wrt)?;
        let grads: HashMap<Var, Var> =
            wrt.into_iter().zip(grads).filter_map(|(var, grad)| Some((var, grad?))).collect();
        for (name, var) in &trained {
            let half = self.halves.get(var).and_then(|half| grads.get(half));
            let grad = match (grads.get(var), half) {
                (Some(grad), Some(half)) => ops::add(&mut self.graph, *grad, *half)?,
                (Some(grad), None) | (None, Some(grad)) => *grad,
                // Nothing depends on it: its gradient is zero.
                (None, None) => {
                    let shape = self.graph.shape(*var).to_vec();
                    ops::fill(&mut self.graph, &shape, 0.0)?
                }
            };
            self.graph.store(grad, Builder::gradient_name(name));
        }
        Ok(())
    }

    /// Name of the external tensor that holds parameter `name` in 16 bits.
    pub fn half_name(name: &str) -> String {
        format!("half of {name}")
    }

    /// Name of the external tensor that holds the gradient of parameter `name`.
    pub fn gradient_name(name: &str) -> String {
        format!("gradient of {name}")
    }
}
