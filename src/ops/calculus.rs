//! Differentiation with the ops it needs filled in.

use super::{Fill, add, cast};
use crate::graph::{Calculus, Graph, GraphError, Var};

const CALCULUS: Calculus<'static> = Calculus {
    add: &|graph, a, b| add(graph, a, b),
    cast: &|graph, x, dtype| cast(graph, x, dtype),
    ones: &|graph, like| graph.add1(Fill { ty: graph.ty(like).clone(), value: 1.0 }, &[]),
};

/// Gradients of the scalar `loss` for each of `wrt`; `None` where it does not depend on one.
pub fn gradients(graph: &mut Graph, loss: Var, wrt: &[Var]) -> Result<Vec<Option<Var>>, GraphError> {
    graph.gradients(loss, wrt, &CALCULUS)
}

/// Gradients of the sum of `output * gradient` over the pairs in `seeds`, for each of `wrt`.
pub fn gradients_from(graph: &mut Graph, seeds: &[(Var, Var)], wrt: &[Var]) -> Result<Vec<Option<Var>>, GraphError> {
    graph.gradients_from(seeds, wrt, &CALCULUS)
}
