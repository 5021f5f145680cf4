//! One row of the attention matrix, for looking at.

use super::inputs::Holds::{Floats, Words};
use super::inputs::take;
use crate::gpu::KernelKey;
use crate::graph::{Graph, GraphError, Launcher, Op, TensorType, Var};

uniform!(
    /// Uniform of the kernel; `vectors` is the head size in vectors of 4.
    Params in "attention_row" { length: u32, across: u32, tokens: u32, heads: u32, vectors: u32, scale: f32 }
);

/// `qkv` f32 `[1, N, 3 D]` and `lse` f32 `[1, heads, N]`, input and output of [`super::Attention`], and `query` u32
/// `[1]` to f32 `[heads, N]`: the probabilities with which token `query` looks at each token. Has no gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionRow {
    /// Number of heads; divides D into heads that are a multiple of 4.
    pub heads: usize,
}

impl Op for AttentionRow {
    fn name(&self) -> &'static str {
        "attention_row"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [qkv, lse, query] = take(inputs, [("qkv", Floats), ("lse", Floats), ("query", Words)])?;
        let [1, tokens, width] = *qkv.shape else {
            return Err(format!("expected qkv [1, N, 3 D], got {:?}", qkv.shape));
        };
        if self.heads == 0 || !width.is_multiple_of(12 * self.heads) {
            return Err(format!("the last axis of qkv, {width}, is no multiple of 12 x {} heads", self.heads));
        }
        for (name, got, wanted) in [
            ("qkv", qkv, TensorType::f32(&[1, tokens, width])),
            ("lse", lse, TensorType::f32(&[1, self.heads, tokens])),
            ("query", query, TensorType::u32(&[1])),
        ] {
            if *got != wanted {
                return Err(format!("{name} is {:?} {:?}, expected {wanted:?}", got.dtype, got.shape));
            }
        }
        Ok(vec![TensorType::f32(&[self.heads, tokens])])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let length = launcher.output_type(0).len();
        let (workgroups, across) = launcher.spread(length, 64);
        let head_size = launcher.input_type(0).last() / (3 * self.heads);
        let params = Params {
            length: length as u32,
            across,
            tokens: launcher.output_type(0).last() as u32,
            heads: self.heads as u32,
            vectors: head_size as u32 / 4,
            scale: (1.0 / (head_size as f64).sqrt()) as f32,
        };
        let args = [launcher.input(0), launcher.input(1), launcher.input(2), launcher.output(0)];
        launcher.call(KernelKey::new("attention_row"), &params, &args, workgroups)
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        2 * inputs[0].len() as u64 / 3
    }
}

/// What token `query` looks at, `[heads, N]`. See [`AttentionRow`].
pub fn attention_row(graph: &mut Graph, qkv: Var, lse: Var, query: Var, heads: usize) -> Result<Var, GraphError> {
    graph.add1(AttentionRow { heads }, &[qkv, lse, query])
}
