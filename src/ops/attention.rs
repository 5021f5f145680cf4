//! Multi-head self-attention that never stores its matrix (FlashAttention-2, Dao 2023).

use crate::gpu::KernelKey;
use crate::graph::{Graph, GraphError, Launcher, Node, Op, TensorType, Var};

uniform!(
    /// Uniform of the forward kernel.
    Params in "attention" { tokens: u32, heads: u32, scale: f32 }
);
uniform!(
    /// Uniform of the gradient kernels.
    GradientParams in "attention_gradient" { tokens: u32, heads: u32, scale: f32 }
);

/// Largest head size.
const MAX_HEAD: usize = 128;
/// Queries or keys a workgroup.
const WORKGROUP: usize = 64;

/// `o = softmax(q kᵀ / sqrt(head size)) v`, head by head.
///
/// Input `qkv [B, N, 3 D]`, each row queries, keys, values, each heads first; outputs `o [B, N, D]` and
/// `lse [B, heads, N]`, the logarithm of each softmax's normaliser. Head sizes are multiples of 4 up to 128.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attention {
    /// Number of heads.
    pub heads: usize,
    /// Whether keys come straight from memory; `None` leaves it to the adapter's kind.
    pub direct: Option<bool>,
}

/// Gradient for `qkv`; inputs `qkv`, `o`, `lse`, `do`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionGradient {
    /// As in [`Attention`].
    pub heads: usize,
    /// As in [`Attention`].
    pub direct: Option<bool>,
}

/// `[batch, tokens, head size]`.
fn extents(qkv: &TensorType, heads: usize) -> Result<[usize; 3], String> {
    let &[batch, tokens, width] = qkv.shape.as_slice() else {
        return Err(format!("expected qkv [B, N, 3 D], got {:?}", qkv.shape));
    };
    if heads == 0 || width % (3 * heads) != 0 {
        return Err(format!("a last axis of {width} is no multiple of 3 x {heads} heads"));
    }
    let head = width / (3 * heads);
    if head % 4 != 0 || head > MAX_HEAD {
        return Err(format!("heads of size {head}; expected a multiple of 4 up to {MAX_HEAD}"));
    }
    Ok([batch, tokens, head])
}

fn key(shader: &'static str, head: usize, direct: bool) -> KernelKey {
    // Two tiles of vectors fill at most 16 KiB, what every adapter has.
    let tile = if head > 64 { 16 } else { 32 };
    KernelKey::new(shader).when("DIRECT", direct).constant("D4", head as u32 / 4).constant("TILE", tile)
}

impl Op for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [batch, tokens, head] = extents(inputs[0], self.heads)?;
        Ok(vec![TensorType::f32(&[batch, tokens, self.heads * head]), TensorType::f32(&[batch, self.heads, tokens])])
    }

    fn gradient(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Var>],
        _wants: &[bool],
    ) -> Result<Vec<Option<Var>>, GraphError> {
        let Some(dout) = grads[0] else { return Ok(vec![None]) };
        let op = AttentionGradient { heads: self.heads, direct: self.direct };
        Ok(vec![Some(graph.add1(op, &[node.inputs[0], node.outputs[0], node.outputs[1], dout])?)])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let shape = |reason| GraphError::Shape { op: "attention", reason };
        let [batch, tokens, head] = extents(launcher.input_type(0), self.heads).map_err(shape)?;
        let key = key("attention", head, self.direct.unwrap_or(launcher.caps().cpu));
        let params = Params { tokens: tokens as u32, heads: self.heads as u32, scale: 1.0 / (head as f32).sqrt() };
        let workgroups = [tokens.div_ceil(WORKGROUP) as u32, self.heads as u32, batch as u32];
        let args = [launcher.input(0), launcher.output(0), launcher.output(1)];
        launcher.call(key, &params, &args, workgroups)
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        extents(inputs[0], self.heads).map_or(0, |[b, n, head]| (4 * b * self.heads * n * n * head) as u64)
    }
}

impl Op for AttentionGradient {
    fn name(&self) -> &'static str {
        "attention_gradient"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        Ok(vec![inputs[0].clone()])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let shape = |reason| GraphError::Shape { op: "attention_gradient", reason };
        let [batch, tokens, head] = extents(launcher.input_type(0), self.heads).map_err(shape)?;
        let direct = self.direct.unwrap_or(launcher.caps().cpu);
        let params =
            GradientParams { tokens: tokens as u32, heads: self.heads as u32, scale: 1.0 / (head as f32).sqrt() };
        let workgroups = [tokens.div_ceil(WORKGROUP) as u32, self.heads as u32, batch as u32];
        let delta = launcher.scratch(TensorType::f32(&[batch, self.heads, tokens]));
        let shared = [(1, launcher.input(0)), (2, launcher.input(3)), (3, launcher.input(2))];
        let results = [(5, delta), (6, launcher.output(0))];

        let queries = [shared.as_slice(), &[(4, launcher.input(1))], &results].concat();
        let kernel = key("attention_gradient", head, direct);
        launcher.call_at(kernel.clone().when("QUERIES", true), &params, &queries, workgroups)?;
        launcher.call_at(kernel, &params, &[shared.as_slice(), &results].concat(), workgroups)
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        extents(inputs[0], self.heads).map_or(0, |[b, n, head]| (14 * b * self.heads * n * n * head) as u64)
    }
}

/// Multi-head self-attention of `qkv [B, N, 3 D]`.
pub fn attention(graph: &mut Graph, qkv: Var, heads: usize) -> Result<Var, GraphError> {
    Ok(graph.add(Attention { heads, direct: None }, &[qkv])?[0])
}
