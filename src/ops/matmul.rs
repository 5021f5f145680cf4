//! Matrix products in three forms, with what follows them fused in.

use std::sync::Arc;

use super::column_sum::column_sum_calls;
use super::{Add, Gelu, GeluGradient};
use crate::gpu::KernelKey;
use crate::graph::{Absorption, Arg, Caps, Graph, GraphError, Launcher, Node, Op, TensorType, Var};

uniform!(
    /// Uniform of both kernels.
    Params in "matmul" {
        m: u32, n: u32, k: u32, k_split: u32, splits: u32, a_stride: u32, b_stride: u32, residual_rows: u32,
        strip: u32,
    }
);

uniform!(
    /// The same under the other shader's name.
    DirectParams in "matmul_direct" {
        m: u32, n: u32, k: u32, k_split: u32, splits: u32, a_stride: u32, b_stride: u32, residual_rows: u32,
        strip: u32,
    }
);

/// Which operand is read transposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// `A [m, k] B [k, n]`.
    NN,
    /// `A [m, k] B[n, k]ᵀ`: a linear layer with its weight `[out, in]`.
    NT,
    /// `A[k, m]ᵀ B [k, n]`: a weight's gradient.
    TN,
}

/// Tile shape of one kernel variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tile {
    /// Register tiles straight from memory, for processors: rows an invocation, invocations a workgroup.
    Direct {
        /// Rows of C an invocation computes (4 columns each).
        rows: u32,
        /// Invocations a workgroup, side by side along n.
        lanes: u32,
    },
    /// The same with A shared by broadcast among the 8 invocations of a subgroup.
    Broadcast,
    /// Through workgroup memory: a tile of `m` x `n` in steps of `k`, an invocation computes `4 quads_m` x `4 quads_n`.
    Shared {
        /// Rows of the tile.
        m: u32,
        /// Columns of the tile.
        n: u32,
        /// Depth of a step.
        k: u32,
        /// Quads of rows an invocation.
        quads_m: u32,
        /// Quads of columns an invocation.
        quads_n: u32,
    },
}

/// The tile shapes that tests and benchmarks go through.
pub const TILES: [Tile; 12] = [
    Tile::Broadcast,
    Tile::Direct { rows: 8, lanes: 8 },
    Tile::Direct { rows: 16, lanes: 8 },
    Tile::Shared { m: 128, n: 128, k: 16, quads_m: 2, quads_n: 2 },
    Tile::Shared { m: 64, n: 64, k: 16, quads_m: 2, quads_n: 2 },
    Tile::Shared { m: 64, n: 64, k: 16, quads_m: 1, quads_n: 1 },
    Tile::Shared { m: 32, n: 32, k: 16, quads_m: 1, quads_n: 1 },
    Tile::Shared { m: 128, n: 128, k: 8, quads_m: 2, quads_n: 2 },
    Tile::Shared { m: 128, n: 64, k: 16, quads_m: 2, quads_n: 2 },
    Tile::Shared { m: 64, n: 128, k: 16, quads_m: 2, quads_n: 2 },
    Tile::Shared { m: 64, n: 32, k: 16, quads_m: 2, quads_n: 1 },
    Tile::Shared { m: 32, n: 64, k: 16, quads_m: 1, quads_n: 2 },
];

/// Rows of tiles that are worked on together, for what they share of B.
const STRIP: u32 = 8;

impl Tile {
    /// Rows and columns of C that a workgroup computes.
    fn extent(self, form: Form) -> (usize, usize) {
        match self {
            Tile::Broadcast => (Tile::broadcast_rows(form) as usize, 32),
            Tile::Direct { rows, lanes } => (rows as usize, lanes as usize * 4),
            Tile::Shared { m, n, .. } => (m as usize, n as usize),
        }
    }

    /// Rows an invocation computes by broadcast: enough to load A in whole vectors.
    fn broadcast_rows(form: Form) -> u32 {
        if form == Form::TN { 32 } else { 16 }
    }

    /// Invocations of a workgroup.
    fn threads(self) -> u32 {
        match self {
            Tile::Broadcast => 8,
            Tile::Direct { lanes, .. } => lanes,
            Tile::Shared { m, n, quads_m, quads_n, .. } => m * n / (16 * quads_m * quads_n),
        }
    }

    /// Whether an adapter can run this tile.
    pub fn runs_on(self, caps: Caps) -> bool {
        match self {
            Tile::Broadcast => caps.subgroup == Some(8),
            Tile::Direct { .. } => true,
            Tile::Shared { m, n, k, .. } => {
                self.threads() <= caps.max_invocations && (m + n) * k * 4 <= caps.workgroup_memory
            }
        }
    }

    /// A good tile for C of `m` x `n` on an adapter.
    fn choose(caps: Caps, m: usize, n: usize) -> Tile {
        if caps.cpu {
            return if Tile::Broadcast.runs_on(caps) { Tile::Broadcast } else { TILES[1] };
        }
        let big = m.div_ceil(128) * n.div_ceil(128);
        match TILES[3] {
            tile if tile.runs_on(caps) && big >= 96 => tile,
            _ if m.div_ceil(64) * n.div_ceil(64) >= 64 => TILES[4],
            _ if m.min(n) > 32 => TILES[5],
            _ => TILES[6],
        }
    }
}

/// What is done to the product before it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Epilogue {
    bias: bool,
    residual: bool,
    gelu: bool,
    keep: bool,
    gelu_gradient: bool,
}

impl Epilogue {
    /// Every choice that [`MatMul::absorb`] can end in.
    const ALL: [Epilogue; 7] = {
        let plain = Epilogue { bias: false, residual: false, gelu: false, keep: false, gelu_gradient: false };
        let bias = Epilogue { bias: true, ..plain };
        [
            plain,
            bias,
            Epilogue { residual: true, ..bias },
            Epilogue { residual: true, ..plain },
            Epilogue { gelu: true, ..bias },
            Epilogue { gelu: true, keep: true, ..bias },
            Epilogue { gelu_gradient: true, ..plain },
        ]
    };
}

/// `C = A B` with optional epilogue.
///
/// Unbatched, leading axes of `A` (and of `B` in form TN) are flattened into rows. Batched, both have equal leading axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatMul {
    /// Which operand is transposed.
    pub form: Form,
    /// One product a leading index instead of one over all rows.
    pub batched: bool,
    tile: Option<Tile>,
    epilogue: Epilogue,
}

/// Extents of a product.
#[derive(Clone, Copy, Debug)]
struct Extents {
    batch: usize,
    m: usize,
    n: usize,
    k: usize,
}

impl MatMul {
    /// A plain product.
    pub fn new(form: Form, batched: bool) -> Self {
        MatMul { form, batched, tile: None, epilogue: Epilogue::default() }
    }

    /// With a given tile shape instead of the chosen one, for tests and benchmarks.
    #[must_use]
    pub fn with_tile(self, tile: Option<Tile>) -> Self {
        MatMul { tile, ..self }
    }

    fn extents(&self, a: &TensorType, b: &TensorType) -> Result<Extents, String> {
        let split = |ty: &TensorType| -> Result<(usize, usize, usize), String> {
            let [lead @ .., rows, columns] = ty.shape.as_slice() else {
                return Err(format!("expected two axes or more, got {:?}", ty.shape));
            };
            let lead: usize = lead.iter().product();
            Ok(if self.batched { (lead, *rows, *columns) } else { (1, lead * rows, *columns) })
        };
        let ((batch, ar, ac), (b_batch, br, bc)) = (split(a)?, split(b)?);
        let (m, k, k2, n) = match self.form {
            Form::NN => (ar, ac, br, bc),
            Form::NT => (ar, ac, bc, br),
            Form::TN => (ac, ar, br, bc),
        };
        if batch != b_batch || k != k2 {
            return Err(format!("{:?} and {:?} cannot be multiplied in form {:?}", a.shape, b.shape, self.form));
        }
        Ok(Extents { batch, m, n, k })
    }

    fn key(&self, tile: Tile, scalar: bool, ragged: bool) -> KernelKey {
        let key = match tile {
            Tile::Direct { rows, lanes } => {
                KernelKey::new("matmul_direct").constant("ROWS", rows).constant("LANES", lanes)
            }
            // Rows that are no whole vectors take the plain path.
            Tile::Broadcast => KernelKey::new("matmul_direct")
                .constant("ROWS", Tile::broadcast_rows(self.form))
                .constant("LANES", 8)
                .when("SUBGROUPS", !scalar),
            Tile::Shared { m, n, k, quads_m, quads_n } => KernelKey::new("matmul")
                .constant("TILE_M", m)
                .constant("TILE_N", n)
                .constant("TILE_K", k)
                .constant("QUADS_M", quads_m)
                .constant("QUADS_N", quads_n)
                .constant("TURNS", ((m + n) * k / 16).div_ceil(tile.threads()))
                .when("RAGGED", ragged && !scalar),
        };
        let Epilogue { bias, residual, gelu, keep, gelu_gradient } = self.epilogue;
        key.when("NN", self.form == Form::NN)
            .when("NT", self.form == Form::NT)
            .when("TN", self.form == Form::TN)
            .when("BIAS", bias)
            .when("RESIDUAL", residual)
            .when("GELU", gelu)
            .when("KEEP", keep)
            .when("GELU_GRADIENT", gelu_gradient)
            .when("SCALAR", scalar)
    }
}

/// Every kernel of a matrix product in one of [`TILES`].
pub(super) fn kernels() -> Vec<KernelKey> {
    let mut keys = Vec::new();
    for tile in TILES {
        for form in [Form::NN, Form::NT, Form::TN] {
            for epilogue in Epilogue::ALL {
                let op = MatMul { form, batched: false, tile: None, epilogue };
                let ragged = matches!(tile, Tile::Shared { .. }).then_some((false, true));
                let kinds = [(false, false), (true, false)].into_iter().chain(ragged);
                keys.extend(kinds.map(|(scalar, ragged)| op.key(tile, scalar, ragged)));
            }
        }
    }
    keys
}

/// Into how many parts to split k so that there are enough workgroups; a pure function of shapes and adapter kind, not
/// of the tile, so that all tiles sum alike.
fn splits(caps: Caps, form: Form, e: Extents) -> usize {
    let usual = if caps.cpu { Tile::Broadcast } else { TILES[4] };
    let (tile_m, tile_n) = usual.extent(form);
    let groups = e.batch * e.m.div_ceil(tile_m) * e.n.div_ceil(tile_n);
    let (enough, least) = if caps.cpu { (16, 1024) } else { (1024, 256) };
    let wanted = enough / groups.max(1);
    wanted.clamp(1, (e.k / least).clamp(1, 64))
}

impl Op for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [a, b, ..] = inputs else { return Err(format!("takes two tensors, got {}", inputs.len())) };
        let e = self.extents(a, b)?;
        let mut shape = match (self.form, self.batched) {
            (Form::TN, false) => Vec::new(),
            (_, true) => a.shape[..a.shape.len() - 2].to_vec(),
            (_, false) => a.shape[..a.shape.len() - 1].to_vec(),
        };
        if self.batched || self.form == Form::TN {
            shape.push(e.m);
        }
        shape.push(e.n);
        Ok(vec![TensorType::f32(&shape)])
    }

    fn gradient(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Var>],
        wants: &[bool],
    ) -> Result<Vec<Option<Var>>, GraphError> {
        let Some(dy) = grads[0] else { return Ok(vec![None; 2]) };
        let (a, b) = (node.inputs[0], node.inputs[1]);
        let mut product = |wanted: bool, form: Form, x: Var, y: Var| -> Result<Option<Var>, GraphError> {
            wanted.then(|| graph.add1(MatMul::new(form, self.batched).with_tile(self.tile), &[x, y])).transpose()
        };
        let (da, db) = match self.form {
            Form::NN => (product(wants[0], Form::NT, dy, b)?, product(wants[1], Form::TN, a, dy)?),
            Form::NT => (product(wants[0], Form::NN, dy, b)?, product(wants[1], Form::TN, dy, a)?),
            Form::TN => (product(wants[0], Form::NT, b, dy)?, product(wants[1], Form::NN, a, dy)?),
        };
        Ok(vec![da, db])
    }

    fn launch(&self, launcher: &mut Launcher<'_>) -> Result<(), GraphError> {
        let shape_error = |reason: String| GraphError::Shape { op: "matmul", reason };
        let e = self.extents(launcher.input_type(0), launcher.input_type(1)).map_err(shape_error)?;
        let caps = launcher.caps();
        let tile = self.tile.unwrap_or_else(|| Tile::choose(caps, e.m, e.n));
        // Vector loads run along the last axes of A, B and C.
        let scalar =
            [launcher.input_type(0).last(), launcher.input_type(1).last(), e.n].iter().any(|last| last % 4 != 0);
        let plain = self.epilogue == Epilogue::default();
        let splits = if plain && e.batch == 1 { splits(caps, self.form, e) } else { 1 };
        let k_split = e.k.div_ceil(splits).next_multiple_of(16);
        let splits = e.k.div_ceil(k_split);

        let mut next = 2;
        let mut take = |present: bool| {
            present.then(|| {
                next += 1;
                next - 1
            })
        };
        let (bias, residual) = (take(self.epilogue.bias), take(self.epilogue.residual));
        let argument = take(self.epilogue.gelu_gradient);
        let residual_rows = residual.map_or(1, |index| launcher.input_type(index).len() / e.n);
        let (a_stride, b_stride) = (e.m * e.k, e.k * e.n);
        let params = Params {
            m: e.m as u32,
            n: e.n as u32,
            k: e.k as u32,
            k_split: k_split as u32,
            splits: splits as u32,
            a_stride: a_stride as u32,
            b_stride: b_stride as u32,
            residual_rows: residual_rows as u32,
            strip: STRIP,
        };
        let ragged = matches!(tile, Tile::Shared { k, .. } if !e.k.is_multiple_of(k as usize));
        let last = if self.epilogue.keep { launcher.output(1) } else { launcher.output(0) };
        let partial = splits > 1;
        let target = if partial { launcher.scratch(TensorType::f32(&[splits, e.m * e.n])) } else { last };
        let mut args: Vec<(u32, Arg)> = vec![(1, launcher.input(0)), (2, launcher.input(1)), (3, target)];
        args.extend(bias.map(|index| (4, launcher.input(index))));
        args.extend(residual.map(|index| (5, launcher.input(index))));
        if self.epilogue.keep {
            args.push((6, launcher.output(0)));
        }
        args.extend(argument.map(|index| (7, launcher.input(index))));
        let (tile_m, tile_n) = tile.extent(self.form);
        let workgroups = [e.n.div_ceil(tile_n) as u32, e.m.div_ceil(tile_m) as u32, (e.batch * splits) as u32];
        launcher.call_at(self.key(tile, scalar, ragged), &params, &args, workgroups)?;
        if partial {
            column_sum_calls(launcher, target, last, (splits, e.m * e.n), None)?;
        }
        Ok(())
    }

    fn absorb(&self, absorption: &Absorption<'_>) -> Option<Arc<dyn Op>> {
        if self.batched {
            return None;
        }
        let mut epilogue = self.epilogue;
        let closed = epilogue.gelu || epilogue.gelu_gradient;
        let product = absorption.inputs[absorption.at];
        if absorption.consumer_as::<Add>().is_some() && !absorption.keep && !closed && !epilogue.residual {
            let other = absorption.inputs[1 - absorption.at];
            if absorption.at == 0 && other.len() == product.last() && !epilogue.bias {
                epilogue.bias = true;
            } else if other.len().is_multiple_of(product.last()) && (absorption.at == 0 || other.len() == product.len())
            {
                epilogue.residual = true;
            } else {
                return None;
            }
        } else if absorption.consumer_as::<Gelu>().is_some() && epilogue.bias && !epilogue.residual && !closed {
            epilogue.gelu = true;
            epilogue.keep = absorption.keep;
        } else if absorption.consumer_as::<GeluGradient>().is_some()
            && absorption.at == 1
            && !absorption.keep
            && epilogue == Epilogue::default()
        {
            epilogue.gelu_gradient = true;
        } else {
            return None;
        }
        debug_assert!(Epilogue::ALL.contains(&epilogue), "{epilogue:?} is not listed");
        Some(Arc::new(MatMul { epilogue, ..*self }))
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        self.extents(inputs[0], inputs[1]).map_or(0, |e| 2 * (e.batch * e.m * e.n * e.k) as u64)
    }
}

/// `a b`, leading axes of `a` flattened into rows.
pub fn matmul(graph: &mut Graph, form: Form, a: Var, b: Var) -> Result<Var, GraphError> {
    graph.add1(MatMul::new(form, false), &[a, b])
}

/// One product a leading index.
pub fn batched_matmul(graph: &mut Graph, form: Form, a: Var, b: Var) -> Result<Var, GraphError> {
    graph.add1(MatMul::new(form, true), &[a, b])
}
