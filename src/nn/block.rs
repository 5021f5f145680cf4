//! The transformer block of a ViT (Dosovitskiy et al. 2020): pre-norm attention and MLP.

use super::{Builder, Init, ParamSpec};
use crate::graph::{GraphError, Var};
use crate::ops::{self, Attention, HiddenRowsVars};

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

/// What a block computes on its way.
#[derive(Clone, Copy, Debug)]
pub struct BlockVars {
    /// Queries, keys and values `[B, N, 3 D]`, see [`Attention`].
    pub qkv: Var,
    /// Logarithm of each query's sum of exponentials `[B, heads, N]`.
    pub lse: Var,
    /// The block's output `[B, N, D]`, or of hidden tokens alone.
    pub out: Var,
}

/// `x += Attention(LN(x)); x += MLP(LN(x))` for `x [B, N, D]`, parameters named under `name`.
///
/// Where only `hidden` tokens are asked for, all that follows the attention is computed of these alone, and the output is
/// `[B, H, D]`.
///
/// Queries, keys and values are one product; its initialiser sees one matrix of `3 D` rows, as in the paper's code.
pub fn block(
    b: &mut Builder,
    name: &str,
    x: Var,
    shape: BlockShape,
    hidden: Option<&HiddenRowsVars>,
) -> Result<BlockVars, GraphError> {
    let first = b.graph.ops();
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
    let mixed = b.graph.add(Attention { heads: shape.heads, variant: None }, &[qkv])?;
    let (x, attended) = match hidden {
        Some(HiddenRowsVars { rows, inverse, .. }) => (
            ops::gather_rows(&mut b.graph, x, *rows, *inverse, None)?,
            ops::gather_rows(&mut b.graph, mixed[0], *rows, *inverse, None)?,
        ),
        None => (x, mixed[0]),
    };
    let projected = b.linear(&format!("{name}.attention.o_proj"), attended, width)?;
    let x = ops::add(&mut b.graph, x, projected)?;

    let normed = b.layer_norm(&format!("{name}.layernorm_after"), x, shape.eps)?;
    let hidden = b.linear(&format!("{name}.mlp.fc1"), normed, shape.mlp)?;
    let hidden = ops::gelu(&mut b.graph, hidden)?;
    let out = b.linear(&format!("{name}.mlp.fc2"), hidden, width)?;
    let out = ops::add(&mut b.graph, x, out)?;
    if b.recompute {
        b.graph.recompute_from(first);
    }
    Ok(BlockVars { qkv, lse: mixed[1], out })
}
