//! Fusion: ops absorb the ops that read them into their epilogues, and do beside them what reads the same.

use std::collections::HashSet;

use super::{Absorption, Graph, Node, Var};

impl Graph {
    /// The nodes that a plan for `roots` runs, in order, fused where ops allow it.
    pub fn fused(&self, roots: &[Var]) -> Vec<Node> {
        fused_nodes(self, roots)
    }
}

/// The live nodes of `graph` in order, fused where ops allow it.
///
/// `roots` and stored tensors are kept even where nothing reads them.
pub(super) fn fused_nodes(graph: &Graph, roots: &[Var]) -> Vec<Node> {
    let pinned: HashSet<Var> = roots.iter().copied().chain(graph.stores.iter().map(|(var, _)| *var)).collect();
    let mut nodes = live_nodes(graph, &pinned);
    let mut readers = readers_of(&nodes, graph.vars.len());
    for at in 0..nodes.len() {
        let mut at = at;
        while let Some(consumer) = absorb_both(&mut nodes, &mut readers, &pinned, at)
            .or_else(|| absorb_next(graph, &mut nodes, &mut readers, &pinned, at))
        {
            at = consumer;
        }
    }
    for at in 0..nodes.len() {
        join_sibling(graph, &mut nodes, &mut readers, at);
    }
    nodes.into_iter().flatten().collect()
}

fn live_nodes(graph: &Graph, pinned: &HashSet<Var>) -> Vec<Option<Node>> {
    let mut wanted = vec![false; graph.vars.len()];
    for var in pinned {
        wanted[var.0] = true;
    }
    let mut nodes: Vec<Option<Node>> = vec![None; graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        if node.outputs.iter().any(|output| wanted[output.0]) {
            for input in &node.inputs {
                wanted[input.0] = true;
            }
            nodes[index] = Some(node.clone());
        }
    }
    nodes
}

/// Positions of the nodes that read each tensor, ascending.
fn readers_of(nodes: &[Option<Node>], vars: usize) -> Vec<Vec<usize>> {
    let mut readers = vec![Vec::new(); vars];
    for (position, node) in nodes.iter().enumerate() {
        for input in node.iter().flat_map(|node| &node.inputs) {
            if readers[input.0].last() != Some(&position) {
                readers[input.0].push(position);
            }
        }
    }
    readers
}

/// Lets the node at `at` absorb the only reader of its last output; returns where the fused node stands.
fn absorb_next(
    graph: &Graph,
    nodes: &mut [Option<Node>],
    readers: &mut [Vec<usize>],
    pinned: &HashSet<Var>,
    at: usize,
) -> Option<usize> {
    let node = nodes[at].clone()?;
    let (output, others) = node.outputs.split_last()?;
    let [reader] = readers[output.0][..] else { return None };
    if pinned.contains(output) || !are_read_after(readers, others, reader) {
        return None;
    }
    let consumer = nodes[reader].clone()?;
    let slots: Vec<usize> = (0..consumer.inputs.len()).filter(|slot| consumer.inputs[*slot] == *output).collect();
    let ([slot], [result]) = (slots.as_slice(), consumer.outputs.as_slice()) else { return None };
    let op = node.op.absorb(&Absorption {
        consumer: consumer.op.as_ref(),
        at: *slot,
        inputs: consumer.inputs.iter().map(|var| graph.ty(*var)).collect(),
    })?;

    let further = consumer.inputs.iter().enumerate().filter(|(index, _)| index != slot).map(|(_, var)| *var);
    let inputs: Vec<Var> = node.inputs.iter().copied().chain(further).collect();
    let outputs = [others, &[*result]].concat();
    move_readers(readers, &node.inputs, at, reader);
    readers[output.0].clear();
    nodes[at] = None;
    nodes[reader] = Some(Node { op, inputs, outputs });
    Some(reader)
}

/// Lets the node at `at` absorb both readers of its last output, where there are no others; returns where it stands then,
/// at the first of them.
fn absorb_both(
    nodes: &mut [Option<Node>],
    readers: &mut [Vec<usize>],
    pinned: &HashSet<Var>,
    at: usize,
) -> Option<usize> {
    let node = nodes[at].clone()?;
    let (output, others) = node.outputs.split_last()?;
    let [first, second] = readers[output.0][..] else { return None };
    if pinned.contains(output) || !are_read_after(readers, others, first) {
        return None;
    }
    let reader = |place: usize| {
        let alone = |node: &&Node| node.inputs == [*output] && node.outputs.len() == 1;
        nodes[place].as_ref().filter(alone)
    };
    let (one, other) = (reader(first)?, reader(second)?);
    let joined = |a: &Node, b: &Node| {
        let op = node.op.absorb_both([a.op.as_ref(), b.op.as_ref()])?;
        Some((op, [b.outputs[0], a.outputs[0]]))
    };
    let (op, results) = joined(one, other).or_else(|| joined(other, one))?;
    let outputs = [others, &results].concat();
    move_readers(readers, &node.inputs, at, first);
    readers[output.0].clear();
    (nodes[at], nodes[second]) = (None, None);
    nodes[first] = Some(Node { op, inputs: node.inputs, outputs });
    Some(first)
}

/// Whether a node may move to `position` as far as readers of its `outputs` go: none comes before, or is what it joins.
fn are_read_after(readers: &[Vec<usize>], outputs: &[Var], position: usize) -> bool {
    outputs.iter().all(|output| readers[output.0].first().is_none_or(|reader| *reader > position))
}

/// What the node at `from` read is read at `to`.
fn move_readers(readers: &mut [Vec<usize>], inputs: &[Var], from: usize, to: usize) {
    for input in inputs {
        let list = &mut readers[input.0];
        list.retain(|position| *position != from);
        if let Err(place) = list.binary_search(&to) {
            list.insert(place, to);
        }
    }
}

/// Lets the node at `at` do beside it one op before it that reads nothing but one of its inputs.
fn join_sibling(graph: &Graph, nodes: &mut [Option<Node>], readers: &mut [Vec<usize>], at: usize) -> Option<()> {
    let node = nodes[at].clone()?;
    let types: Vec<_> = node.inputs.iter().map(|var| graph.ty(*var)).collect();
    let earlier = |var: Var| readers[var.0].iter().copied().filter(move |position| *position < at);
    // What the sibling computes comes later than it did, so nothing may read it before.
    let fits = |sibling: &Node, var: Var| sibling.inputs == [var] && are_read_after(readers, &sibling.outputs, at);
    let (joint, position) = node.inputs.iter().enumerate().find_map(|(slot, var)| {
        earlier(*var).find_map(|position| {
            let sibling = nodes[position].as_ref().filter(|sibling| fits(sibling, *var))?;
            Some((node.op.beside(sibling.op.as_ref(), slot, &types)?, position))
        })
    })?;
    let sibling = nodes[position].take()?;
    readers[sibling.inputs[0].0].retain(|reader| *reader != position);
    nodes[at] = Some(Node { op: joint, inputs: node.inputs, outputs: [node.outputs, sibling.outputs].concat() });
    Some(())
}
