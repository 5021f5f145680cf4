//! The transformer block of a ViT (Dosovitskiy et al. 2020): pre-norm attention and MLP.

use super::{Builder, Init, ParamSpec};
use crate::graph::{GraphError, Var};
use crate::ops;

/// Sizes of a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlockShape {
    /// Attention heads; divides the width.
    pub heads: usize,
    /// Hidden width of the MLP.
    pub mlp: usize,
    /// Layer-norm epsilon.
    pub eps: f32,
}

/// `x += Attention(LN(x)); x += MLP(LN(x))` for `x [B, N, D]`, parameters named under `name`.
///
/// Queries, keys and values are one product; its initialiser sees one matrix of `3 D` rows, as in the paper's code.
pub fn block(b: &mut Builder, name: &str, x: Var, shape: BlockShape) -> Result<Var, GraphError> {
    let width = b.graph.ty(x).last();
    let normed = b.layer_norm(&format!("{name}.layernorm_before"), x, shape.eps)?;

    let part = |kind: &str| -> Vec<String> {
        ["q", "k", "v"].iter().map(|which| format!("{name}.attention.{which}_proj.{kind}")).collect()
    };
    let init = Init::XavierUniform { fan_in: width, fan_out: 3 * width };
    let weight = ParamSpec::stacked(format!("{name}.attention.qkv.weight"), &part("weight"), &[width, width], init);
    let weight = b.param(weight);
    let bias = ParamSpec::stacked(format!("{name}.attention.qkv.bias"), &part("bias"), &[width], Init::Zeros);
    let bias = b.param(bias);
    let qkv = b.affine(normed, weight, bias)?;
    let mixed = ops::attention(&mut b.graph, qkv, shape.heads)?;
    let projected = b.linear(&format!("{name}.attention.o_proj"), mixed, width)?;
    let x = ops::add(&mut b.graph, x, projected)?;

    let normed = b.layer_norm(&format!("{name}.layernorm_after"), x, shape.eps)?;
    let hidden = b.linear(&format!("{name}.mlp.fc1"), normed, shape.mlp)?;
    let hidden = ops::gelu(&mut b.graph, hidden)?;
    let out = b.linear(&format!("{name}.mlp.fc2"), hidden, width)?;
    ops::add(&mut b.graph, x, out)
}
