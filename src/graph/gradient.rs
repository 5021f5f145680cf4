//! Reverse-mode gradients, as further ops of the same graph.

use std::collections::HashMap;
use std::ops::Range;

use super::tensor::{Origin, VarInfo};
use super::{DType, Graph, GraphError, Var};

/// The ops that differentiation itself needs; the graph knows no op, so they are handed in.
pub struct Calculus<'a> {
    /// Sum of two tensors of one shape.
    pub add: &'a dyn Fn(&mut Graph, Var, Var) -> Result<Var, GraphError>,
    /// A tensor with elements of another type.
    pub cast: &'a dyn Fn(&mut Graph, Var, DType) -> Result<Var, GraphError>,
    /// Ones in the shape of a tensor.
    pub ones: &'a dyn Fn(&mut Graph, Var) -> Result<Var, GraphError>,
}

impl Graph {
    /// Gradients of the scalar `loss` for each of `wrt`, in order.
    ///
    /// `None` where the loss does not depend on that tensor.
    pub fn gradients(
        &mut self,
        loss: Var,
        wrt: &[Var],
        calculus: &Calculus<'_>,
    ) -> Result<Vec<Option<Var>>, GraphError> {
        let seed = (calculus.ones)(self, loss)?;
        self.gradients_from(&[(loss, seed)], wrt, calculus)
    }

    /// Gradients for each of `wrt` of the sum of `output * gradient` over the pairs in `seeds`.
    pub fn gradients_from(
        &mut self,
        seeds: &[(Var, Var)],
        wrt: &[Var],
        calculus: &Calculus<'_>,
    ) -> Result<Vec<Option<Var>>, GraphError> {
        let node_of = |(var, _): &(Var, Var)| match self.vars[var.0].origin {
            Origin::Node(node) => Some(node),
            Origin::External(_) => None,
        };
        let Some(last) = seeds.iter().filter_map(node_of).max() else { return Ok(vec![None; wrt.len()]) };
        let mut needed = vec![false; self.vars.len()];
        for var in wrt {
            needed[var.0] = true;
        }
        for node in &self.nodes[..=last] {
            if node.inputs.iter().any(|input| needed[input.0]) {
                for output in &node.outputs {
                    needed[output.0] = true;
                }
            }
        }

        let mut grads: Vec<Option<Var>> = vec![None; self.vars.len()];
        for (var, gradient) in seeds {
            grads[var.0] = Some(match grads[var.0] {
                Some(sum) => (calculus.add)(self, sum, *gradient)?,
                None => *gradient,
            });
        }
        // The second computation of tensors that are not kept.
        let mut again: HashMap<Var, Var> = HashMap::new();
        for index in (0..=last).rev() {
            if let Some(range) = self.recomputed.iter().find(|range| range.contains(&index) && range.end == index + 1) {
                again = self.repeat(range.clone());
            }
            let mut node = self.nodes[index].clone();
            let output_grads: Vec<Option<Var>> = node.outputs.iter().map(|output| grads[output.0]).collect();
            let wants: Vec<bool> = node.inputs.iter().map(|input| needed[input.0]).collect();
            if output_grads.iter().all(Option::is_none) || wants.iter().all(|wanted| !wanted) {
                continue;
            }
            let inputs = node.inputs.clone();
            for var in node.inputs.iter_mut().chain(&mut node.outputs) {
                *var = again.get(var).copied().unwrap_or(*var);
            }
            let input_grads = node.op.gradient(self, &node, &output_grads, &wants)?;
            for (input, grad) in inputs.iter().zip(input_grads) {
                let Some(mut grad) = grad.filter(|_| needed[input.0]) else { continue };
                // What counts in 32 bits gets its gradient in 32 bits.
                if self.ty(*input).dtype == DType::F32 && self.ty(grad).dtype == DType::F16 {
                    grad = (calculus.cast)(self, grad, DType::F32)?;
                }
                grads[input.0] = Some(match grads[input.0] {
                    Some(sum) => (calculus.add)(self, sum, grad)?,
                    None => grad,
                });
            }
        }
        Ok(wrt.iter().map(|var| grads[var.0]).collect())
    }

    /// Adds the ops `range` once more; returns the new tensor of each old one. What nothing reads is never run.
    fn repeat(&mut self, range: Range<usize>) -> HashMap<Var, Var> {
        let mut again: HashMap<Var, Var> = HashMap::new();
        for index in range {
            let mut node = self.nodes[index].clone();
            for input in &mut node.inputs {
                *input = again.get(input).copied().unwrap_or(*input);
            }
            for output in &mut node.outputs {
                let info = VarInfo { origin: Origin::Node(self.nodes.len()), ..self.vars[output.0].clone() };
                self.vars.push(info);
                again.insert(*output, Var(self.vars.len() - 1));
                *output = Var(self.vars.len() - 1);
            }
            self.nodes.push(node);
        }
        again
    }
}
