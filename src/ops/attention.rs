//! Multi-head self-attention that never stores its matrix (FlashAttention-2, Dao 2023).

use super::attention_cooperative::{self, Cut};
use super::attention_tiled;
use super::cast::cast_call;
use super::inputs::Holds::Floats;
use super::inputs::take;
use super::trials::Trials;
use crate::gpu::KernelKey;
use crate::graph::{Arg, Caps, DType, Graph, GraphError, Launcher, Node, Op, TensorType, Var};

uniform!(
    /// Uniform of the forward kernel.
    Params in "attention" { tokens: u32, heads: u32, scale: f32 }
);
uniform!(
    /// Uniform of the gradient kernels.
    GradientParams in "attention_gradient" { tokens: u32, heads: u32, scale: f32 }
);
uniform!(
    /// Uniform of the forward kernel for processors; `vectors` is the head size in vectors of 4.
    DirectParams in "attention_direct" { tokens: u32, heads: u32, vectors: u32, scale: f32 }
);
uniform!(
    /// Uniform of the gradient kernels for processors, as [`DirectParams`].
    GradientDirectParams in "attention_gradient_direct" { tokens: u32, heads: u32, vectors: u32, scale: f32 }
);

/// Smallest and largest head size, in elements.
pub const HEAD_SIZES: std::ops::RangeInclusive<usize> = 8..=128;
/// Queries or keys a workgroup of the kernels for processors: 8 invocations of 4 each.
const DIRECT_WORKGROUP: usize = 32;
/// Invocations of a workgroup in the kernels that broadcast.
const LANES: usize = 8;
/// What choices between [`Variant::Shared`] and [`Variant::Lean`] are called.
const LARGE: &str = "large tiles";
const SMALL: &str = "small tiles";
/// Queries of all heads that they are measured with, at most: more of them only repeat what was seen.
const MOST_QUERIES: usize = 65536;
/// Largest head size of these kernels.
const MOST_BROADCAST: usize = 80;
/// Vectors of four of one invocation that stay near, and most queries or keys of its own.
const NEAR_VECTORS: usize = 192;
const MOST_OWN: usize = 8;

/// How invocations of a workgroup come by what they share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Through workgroup memory and barriers: for GPUs.
    Shared,
    /// The same in smaller tiles: for GPUs whose invocations have few registers.
    Lean,
    /// On matrix units, for 16-bit floats where the adapter has such units: heads that are no whole number of matrices,
    /// and other adapters, as [`Variant::Shared`] or [`Variant::Lean`].
    Matrix,
    /// Straight from memory, without barriers: for processors.
    Direct,
    /// By broadcast among the 8 invocations of a subgroup, for processors that have such: heads of up to 80, and larger
    /// ones, and other adapters, as [`Variant::Direct`].
    Broadcast,
}

impl Variant {
    /// The faster one on an adapter.
    pub fn of(caps: Caps) -> Self {
        match (caps.cpu, caps.few_registers) {
            (true, _) => Variant::Direct,
            (false, true) => Variant::Lean,
            (false, false) => Variant::Shared,
        }
    }
}

/// `o = softmax(q kᵀ / sqrt(head size)) v`, head by head.
///
/// Input `qkv [B, N, 3 D]`, each row `[3, heads, head size]`: queries, keys, values. Outputs `o [B, N, D]` and
/// `lse [B, heads, N]`, for each query the natural logarithm of the sum of the exponentials of its scaled logits. Head
/// sizes are multiples of 4 from 8 to 128.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attention {
    /// Number of heads.
    pub heads: usize,
    /// How keys and values reach the queries; `None` leaves it to the adapter's kind.
    pub variant: Option<Variant>,
}

/// Queries or keys of one invocation where they stay in registers, `arrays` vectors of the head's size for each: enough
/// to share broadcasts, few enough for the nearest cache, and such that few invocations have none.
fn own_tokens(extents: Extents, arrays: usize) -> usize {
    let most = (NEAR_VECTORS * 4 / (arrays * extents.head_size)).clamp(1, MOST_OWN);
    // What a group of keys costs beside what it costs a query.
    let cost = |own: usize| extents.tokens.div_ceil(LANES * own) * (2 * own + 3);
    (1..=most).rev().min_by_key(|own| cost(*own)).unwrap_or(1)
}

/// Gradient of [`Attention`] for `qkv`; inputs `qkv`, `o`, `lse` and `do`, the gradient of `o`.
///
/// Probabilities are computed again from `lse`. Sums run in a fixed order, so that results repeat bit by bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionGradient {
    /// As in [`Attention`].
    pub heads: usize,
    /// As in [`Attention`].
    pub variant: Option<Variant>,
}

/// Extents of an attention.
#[derive(Clone, Copy)]
struct Extents {
    batch: usize,
    tokens: usize,
    heads: usize,
    head_size: usize,
    dtype: DType,
}

impl Extents {
    fn of(qkv: &TensorType, heads: usize) -> Result<Self, String> {
        let &[batch, tokens, width] = qkv.shape.as_slice() else {
            return Err(format!("expected qkv [B, N, 3 D], got {:?}", qkv.shape));
        };
        if heads == 0 || !width.is_multiple_of(3 * heads) {
            return Err(format!("the last axis of qkv, {width}, is no multiple of 3 x {heads} heads"));
        }
        let head_size = width / (3 * heads);
        if !head_size.is_multiple_of(4) || !HEAD_SIZES.contains(&head_size) {
            let (least, most) = HEAD_SIZES.into_inner();
            return Err(format!("{heads} heads of size {head_size}; expected a multiple of 4 from {least} to {most}"));
        }
        Ok(Extents { batch, tokens, heads, head_size, dtype: qkv.dtype })
    }

    /// How it is cut for matrix units, where there are such for it.
    fn cut(self, caps: Caps) -> Option<Cut> {
        Cut::of(caps, self.tokens, self.head_size, self.dtype)
    }

    /// Type of `o` and its gradient.
    fn output(self) -> TensorType {
        TensorType::f32(&[self.batch, self.tokens, self.heads * self.head_size]).of(self.dtype)
    }

    /// Type of what there is once a query and head.
    fn statistics(self) -> TensorType {
        TensorType::f32(&[self.batch, self.heads, self.tokens])
    }

    /// Workgroups that take `tokens` queries or keys of one head each.
    fn workgroups(self, tokens: usize) -> [u32; 3] {
        [self.tokens.div_ceil(tokens) as u32, self.heads as u32, self.batch as u32]
    }

    fn scale(self) -> f32 {
        (1.0 / (self.head_size as f64).sqrt()) as f32
    }

    /// Heads of all examples that stand for theirs where tiles are measured.
    fn typical(self) -> usize {
        (self.batch * self.heads).next_power_of_two().min((MOST_QUERIES / self.tokens).max(1))
    }

    /// The class of shapes that this belongs to where tiles are measured.
    fn class(self) -> String {
        let numbers = if self.dtype == DType::F16 { "f16 " } else { "" };
        format!("{numbers}attention {} of {}x{}", self.typical(), self.tokens, self.head_size)
    }

    /// Operations of `products` products of queries with keys, or of probabilities with values.
    fn flops(self, products: u64) -> u64 {
        let Extents { batch, tokens, heads, head_size, .. } = self;
        2 * products * (batch * heads * tokens) as u64 * (tokens * head_size) as u64
    }
}

impl Attention {
    /// What to measure for this attention of `qkv`, in both tiles, where it is not known how many registers there are.
    pub(super) fn trials(&self, caps: Caps, qkv: &TensorType) -> Option<Trials> {
        let extents = Extents::of(qkv, self.heads).ok()?;
        if caps.cpu || !caps.few_registers || self.variant.is_some() || extents.cut(caps).is_some() {
            return None;
        }
        let Extents { tokens, head_size, dtype, .. } = extents;
        let alike = Extents { batch: 1, heads: extents.typical(), ..extents };
        let stored = if dtype == DType::F16 { vec![1, 2] } else { Vec::new() };
        let launches = [(SMALL, true), (LARGE, false)].into_iter().filter_map(|(name, few)| {
            let (key, own) = attention_tiled::forward(tokens, head_size, few).ok()?;
            Some((name.to_owned(), key.halves(stored.clone()), alike.workgroups(own)))
        });
        let launches = launches.collect();
        let params = Params { tokens: tokens as u32, heads: alike.heads as u32, scale: alike.scale() };
        let params = bytemuck::bytes_of(&params).to_vec();
        let output = alike.output().len();
        let elements = [3 * output, output, alike.statistics().len()];
        let class = extents.class();
        let (usual, flops) = (SMALL.to_owned(), alike.flops(2));
        Some(Trials { class, usual, launches, params, elements, flops, alters_bits: true })
    }
}

/// A kernel that broadcasts and keeps `arrays` vectors a token, and its workgroups.
fn broadcast(shader: &'static str, extents: Extents, arrays: usize) -> (KernelKey, [u32; 3]) {
    let own = own_tokens(extents, arrays);
    let key = KernelKey::new(shader)
        .constant("D4", extents.head_size as u32 / 4)
        .constant("OWN", own as u32)
        .when("WITH_SUBGROUPS", true);
    (key, extents.workgroups(LANES * own))
}

/// [`Attention`] by broadcast.
fn forward_broadcast(extents: Extents) -> (KernelKey, [u32; 3]) {
    broadcast("attention_broadcast", extents, 2)
}

/// Both launches of [`AttentionGradient`] by broadcast, queries first.
fn backward_broadcast(extents: Extents) -> [(KernelKey, [u32; 3]); 2] {
    let [queries, keys] = [3, 4].map(|arrays| broadcast("attention_gradient_broadcast", extents, arrays));
    [(queries.0.when("QUERIES", true), queries.1), keys]
}

/// What is done for a variant asked for: it, or what stands for it.
fn variant(asked: Option<Variant>, launcher: &Launcher<'_>, extents: Extents) -> Variant {
    let caps = launcher.caps();
    let best = if caps.cpu { Variant::Broadcast } else { Variant::Matrix };
    match asked.unwrap_or(best) {
        Variant::Matrix if extents.cut(caps).is_none() => {
            let large = !caps.few_registers || launcher.choice(&extents.class()) == Some(LARGE);
            if large { Variant::Shared } else { Variant::Lean }
        }
        Variant::Broadcast if caps.subgroup != Some(LANES as u32) || extents.head_size > MOST_BROADCAST => {
            Variant::Direct
        }
        variant => variant,
    }
}

/// Where kernels that keep their sums in memory have them for a result of type `ty`, if not in the result: sums are f32.
fn sums(launcher: &mut Launcher<'_>, ty: TensorType) -> Option<Arg> {
    (ty.dtype != DType::F32).then(|| launcher.scratch(ty.of(DType::F32)))
}

/// Every kernel that is made for one head size, and some of those that are also made for a number of tokens.
pub(super) fn kernels() -> Vec<KernelKey> {
    let tiled = HEAD_SIZES.step_by(4).flat_map(attention_tiled::kernels);
    // Tokens and heads of the presets, and of the self-test.
    let shapes = [
        (17, 32),
        (65, 16),
        (37, 32),
        (145, 32),
        (50, 64),
        (197, 32),
        (65, 80),
        (257, 32),
        (5, 12),
        (70, 64),
        (33, 80),
    ];
    let broadcasts = shapes.into_iter().flat_map(|(tokens, head_size)| {
        let extents = Extents { batch: 1, tokens, heads: 1, head_size, dtype: DType::F32 };
        let [queries, keys] = backward_broadcast(extents);
        [forward_broadcast(extents).0, queries.0, keys.0]
    });
    tiled.chain(broadcasts).chain(attention_cooperative::kernels()).collect()
}

impl Op for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [qkv] = take(inputs, [("qkv", Floats)])?;
        let extents = Extents::of(qkv, self.heads)?;
        Ok(vec![extents.output(), extents.statistics()])
    }

    fn gradient(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Var>],
        _wants: &[bool],
    ) -> Result<Vec<Option<Var>>, GraphError> {
        if grads[1].is_some() {
            return Err(GraphError::NoGradientThrough { op: self.name(), output: "lse" });
        }
        let Some(dout) = grads[0] else { return Ok(vec![None]) };
        let op = AttentionGradient { heads: self.heads, variant: self.variant };
        Ok(vec![Some(graph.add1(op, &[node.inputs[0], node.outputs[0], node.outputs[1], dout])?)])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let fail = |reason| GraphError::Shape { op: self.name(), reason };
        let extents = Extents::of(launcher.input_type(0), self.heads).map_err(fail)?;
        let (tokens, heads, scale) = (extents.tokens as u32, extents.heads as u32, extents.scale());
        let (o, lse) = (launcher.output(0), launcher.output(1));
        let args = [launcher.input(0), o, lse];
        let variant = variant(self.variant, launcher, extents);
        match (variant, extents.cut(launcher.caps())) {
            (Variant::Broadcast, _) => {
                let params = Params { tokens, heads, scale };
                let (key, workgroups) = forward_broadcast(extents);
                launcher.call(key, &params, &args, workgroups)
            }
            (Variant::Matrix, Some(cut)) => {
                let params = Params { tokens, heads, scale };
                launcher.call(cut.forward(), &params, &args, extents.workgroups(cut.own()))
            }
            (Variant::Shared | Variant::Lean | Variant::Matrix, _) => {
                let params = Params { tokens, heads, scale };
                let few = variant == Variant::Lean;
                let (key, own) = attention_tiled::forward(extents.tokens, extents.head_size, few).map_err(fail)?;
                launcher.call(key, &params, &args, extents.workgroups(own))
            }
            (Variant::Direct, _) => {
                let params = DirectParams { tokens, heads, vectors: extents.head_size as u32 / 4, scale };
                let workgroups = extents.workgroups(DIRECT_WORKGROUP);
                let sums = sums(launcher, extents.output());
                let args = [launcher.input(0), sums.unwrap_or(o), lse];
                launcher.call(KernelKey::new("attention_direct"), &params, &args, workgroups)?;
                sums.map_or(Ok(()), |sums| cast_call(launcher, sums, o, extents.output().len()))
            }
        }
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        Extents::of(inputs[0], self.heads).map_or(0, |extents| extents.flops(2))
    }
}

impl Op for AttentionGradient {
    fn name(&self) -> &'static str {
        "attention_gradient"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [qkv, o, lse, dout] = take(inputs, [("qkv", Floats), ("o", Floats), ("lse", Floats), ("do", Floats)])?;
        let extents = Extents::of(qkv, self.heads)?;
        for (name, got, want) in
            [("o", o, extents.output()), ("lse", lse, extents.statistics()), ("do", dout, extents.output())]
        {
            if *got != want {
                return Err(format!("{name} has shape {:?}; expected {:?}", got.shape, want.shape));
            }
        }
        Ok(vec![qkv.clone()])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let fail = |reason| GraphError::Shape { op: self.name(), reason };
        let extents = Extents::of(launcher.input_type(0), self.heads).map_err(fail)?;
        let (tokens, heads, scale) = (extents.tokens as u32, extents.heads as u32, extents.scale());
        let delta = launcher.scratch(extents.statistics());
        let variant = variant(self.variant, launcher, extents);
        let (dqkv, ty) = (launcher.output(0), launcher.output_type(0).clone());
        let length = ty.len();
        let sums = if variant == Variant::Direct { sums(launcher, ty) } else { None };
        let for_keys = [launcher.input(0), launcher.input(3), launcher.input(2), sums.unwrap_or(dqkv), delta];
        let for_queries = [for_keys.as_slice(), &[launcher.input(1)]].concat();
        match (variant, extents.cut(launcher.caps())) {
            (Variant::Broadcast, _) => {
                let params = GradientParams { tokens, heads, scale };
                let [(queries, for_query), (keys, for_key)] = backward_broadcast(extents);
                launcher.call(queries, &params, &for_queries, for_query)?;
                launcher.call(keys, &params, &for_keys, for_key)
            }
            (Variant::Matrix, Some(cut)) => {
                let params = GradientParams { tokens, heads, scale };
                let workgroups = extents.workgroups(cut.own());
                let [queries, keys] = cut.backward();
                launcher.call(queries, &params, &for_queries, workgroups)?;
                launcher.call(keys, &params, &for_keys, workgroups)
            }
            (Variant::Shared | Variant::Lean | Variant::Matrix, _) => {
                let params = GradientParams { tokens, heads, scale };
                let few = variant == Variant::Lean;
                let ([queries, keys], own) =
                    attention_tiled::gradient(extents.tokens, extents.head_size, few).map_err(fail)?;
                let workgroups = extents.workgroups(own);
                launcher.call(queries, &params, &for_queries, workgroups)?;
                launcher.call(keys, &params, &for_keys, workgroups)
            }
            (Variant::Direct, _) => {
                let params = GradientDirectParams { tokens, heads, vectors: extents.head_size as u32 / 4, scale };
                let workgroups = extents.workgroups(DIRECT_WORKGROUP);
                let keys = KernelKey::new("attention_gradient_direct");
                launcher.call(keys.clone().when("QUERIES", true), &params, &for_queries, workgroups)?;
                launcher.call(keys, &params, &for_keys, workgroups)?;
                sums.map_or(Ok(()), |sums| cast_call(launcher, sums, dqkv, length))
            }
        }
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        // Both launches compute logits and their slopes; one adds dq, the other dk and dv.
        Extents::of(inputs[0], self.heads).map_or(0, |extents| extents.flops(7))
    }
}

/// Multi-head self-attention of `qkv [B, N, 3 D]`: `o [B, N, D]`.
pub fn attention(graph: &mut Graph, qkv: Var, heads: usize) -> Result<Var, GraphError> {
    Ok(graph.add(Attention { heads, variant: None }, &[qkv])?[0])
}
