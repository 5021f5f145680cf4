//! Matrix products in three forms, with what follows them fused in.

use std::any::Any;
use std::sync::Arc;

use super::column_sum::{column_sum_calls, column_sum_pair};
use super::epilogue::Epilogue;
use super::inputs::Holds::Floats;
use super::inputs::take;
use super::tile::PARTIALS;
use super::trials::Trials;
use super::{ColumnSum, TILES, Tile};
use crate::gpu::{KernelKey, MatrixUnits};
use crate::graph::{Absorption, Arg, Caps, DType, Graph, GraphError, Launcher, Node, Op, TensorType, Var};

uniform!(
    /// Uniform of every kernel.
    Params in "matmul" {
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

/// Most rows that tiles are measured with: more of them only repeat what was seen.
const MOST_ROWS: usize = 16384;
/// What their number is rounded up to: how many tiles there are decides how well these fill an adapter.
const ROWS_STEP: usize = 256;

/// What every part of a split k but the last is a multiple of: the deepest step of any tile.
const PART: usize = 64;

/// Rows of tiles that are worked on together, for what they share of B.
const STRIP: u32 = 8;

/// `C = A B` with optional epilogue.
///
/// Unbatched, leading axes of `A` (and of `B` in form TN) are flattened into rows. Batched, both have equal leading axes. The
/// result has elements of the type of `A`, but those of an unbatched TN are f32: weights have their gradients in f32.
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

impl Extents {
    /// Operations of one of the products; in a page `usize` is too small for it.
    fn flops(&self) -> u64 {
        let [m, n, k] = [self.m, self.n, self.k].map(|extent| extent as u64);
        2 * m * n * k
    }
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

    /// The class of shapes that this product in `parts` belongs to where tiles are measured; products of one class are
    /// alike.
    fn class(&self, e: &Extents, halves: bool, parts: usize) -> Option<String> {
        // The last axes of A, B and C.
        let last = match self.form {
            Form::NN => [e.k, e.n, e.n],
            Form::NT => [e.k, e.k, e.n],
            Form::TN => [e.m, e.n, e.n],
        };
        let vectors = last.iter().all(|length| length.is_multiple_of(4));
        (!self.batched && vectors).then(|| {
            let e = self.typical(e);
            let numbers = if halves { "f16 " } else { "" };
            let parts = if parts > 1 { format!(" in {parts}") } else { String::new() };
            format!("{numbers}{:?} {}x{}x{}{parts}", self.form, e.m, e.n, e.k)
        })
    }

    /// The extents that stand for a class: what counts pictures is rounded up.
    fn typical(&self, e: &Extents) -> Extents {
        let rounded = |rows: usize| rows.next_multiple_of(ROWS_STEP).clamp(ROWS_STEP, MOST_ROWS);
        match self.form {
            Form::TN => Extents { k: rounded(e.k), ..*e },
            _ => Extents { m: rounded(e.m), ..*e },
        }
    }

    /// What to measure for this product of `a` and `b`: its class, and each tile as a launch of the class's extents.
    pub(super) fn trials(&self, caps: Caps, a: &TensorType, b: &TensorType) -> Option<Trials> {
        let e = self.extents(a, b).ok()?;
        let halves = are_halves(a, b);
        let splits = self.splits(caps, e);
        let class = self.class(&e, halves, splits.count)?;
        let usual = Tile::choose(caps, (e.m, e.n), splits.count, true, halves);
        let e = self.typical(&e);
        // As many parts as the product itself has, however long it is.
        let part = e.k.div_ceil(splits.count).next_multiple_of(PART);
        let splits = Splits { count: e.k.div_ceil(part), part };
        // Where there are matrix units for it, no other tile comes near.
        let on_units = halves && TILES.into_iter().any(|tile| tile.wants_halves() && tile.runs_on(caps));
        let tiles = TILES.into_iter().filter(|tile| match tile {
            Tile::Shared { .. } => !on_units && tile.runs_on(caps) && tile.is_tried(caps.few_registers),
            _ => on_units && tile.wants_halves() && tile.runs_on(caps),
        });
        let launches = tiles.map(|tile| self.trial(caps, tile, e, splits, halves)).collect();
        let params = bytemuck::bytes_of(&params(e, splits, 1)).to_vec();
        let elements = [e.m * e.k, e.k * e.n, splits.count * e.m * e.n];
        let flops = e.flops();
        let usual = usual.to_string();
        Some(Trials { class, usual, launches, params, elements, flops, alters_bits: false })
    }

    /// The plain product in one tile, of operands in 16 bits or not: tile, kernel and workgroups.
    fn trial(&self, caps: Caps, tile: Tile, e: Extents, splits: Splits, halves: bool) -> (String, KernelKey, [u32; 3]) {
        let plain = MatMul { epilogue: Epilogue::default(), ..*self };
        let ragged = plain.is_ragged(tile, &e);
        // Sums of parts, and gradients of weights, are f32.
        let stored = match (halves, splits.count > 1 || self.form == Form::TN) {
            (false, _) => Vec::new(),
            (true, true) => vec![1, 2],
            (true, false) => vec![1, 2, 3],
        };
        let key = plain.key(caps.matrix_units, tile, false, ragged).halves(stored);
        (tile.to_string(), key, workgroups(tile, e, splits))
    }

    /// How its k is split.
    fn splits(&self, caps: Caps, e: Extents) -> Splits {
        if self.epilogue.can_split() && e.batch == 1 { Splits::of(caps, e) } else { Splits::NONE(e) }
    }

    /// Whether the last step along k is not a whole one.
    fn is_ragged(&self, tile: Tile, e: &Extents) -> bool {
        matches!(tile, Tile::Shared { k, .. } | Tile::Matrix { k, .. } if !e.k.is_multiple_of(k as usize))
    }

    fn key(&self, units: Option<MatrixUnits>, tile: Tile, scalar: bool, ragged: bool) -> KernelKey {
        // Only tiles that have some ask.
        let units = units.unwrap_or(MatrixUnits::KNOWN[0]);
        let key = match tile {
            Tile::Direct { rows, lanes } => {
                let key = KernelKey::new("matmul_direct").constant("ROWS", rows).constant("LANES", lanes);
                if self.form == Form::TN { key.constant("QUADS", rows / 4) } else { key }
            }
            Tile::Broadcast { rows, columns } => KernelKey::new("matmul_broadcast")
                .constant("ROWS", rows)
                .constant("COLUMNS", columns)
                .constant("GROUPS", if self.form == Form::TN { rows / 32 } else { rows / 8 })
                .constant("WAITING", (rows - 4) * columns)
                .when("WITH_SUBGROUPS", true),
            Tile::Shared { m, n, k, quads_m, quads_n, buffers, rolled } => KernelKey::new("matmul")
                .constant("TILE_M", m)
                .constant("TILE_N", n)
                .constant("TILE_K", k)
                .constant("QUADS_M", quads_m)
                .constant("QUADS_N", quads_n)
                .constant("TURNS", ((m + n) * k / 16).div_ceil(tile.threads(1)))
                .constant("BUFFERS", buffers)
                .constant("DEEP", k / 4)
                .constant("ROLLED", u32::from(rolled))
                .when("RAGGED", ragged && !scalar),
            Tile::Matrix { side, m, n, k, rows, columns, buffers } => {
                let MatrixUnits { lanes, wide, .. } = units;
                let threads = tile.threads(lanes);
                let key = KernelKey::new("matmul_cooperative")
                    .constant("TILE_M", m)
                    .constant("TILE_N", n)
                    .constant("TILE_K", k)
                    .constant("ROWS", rows)
                    .constant("COLUMNS", columns)
                    .constant("LANES", lanes)
                    .constant("THREADS", threads)
                    .constant("DEPTH", k / side)
                    .constant("BUFFERS", buffers)
                    .constant("STAGED", tile.staged())
                    .constant("STAGES", columns / tile.staged())
                    .constant("VECTORS", (side * tile.staged() * side / 4).div_ceil(lanes))
                    .constant("TURNS_A", m * k / 4 / threads)
                    .constant("TURNS_B", n * k / 4 / threads)
                    .when("RAGGED", ragged)
                    .when("WIDE_MEMORY", wide)
                    .when("SIDE_16", side == 16);
                if self.epilogue.sums { summing(key, tile.summers(lanes)) } else { key }
            }
        };
        let Epilogue { bias, residual, gelu, slope, gelu_gradient, sums } = self.epilogue;
        key.when("NN", self.form == Form::NN)
            .when("NT", self.form == Form::NT)
            .when("TN", self.form == Form::TN)
            .when("BIAS", bias)
            .when("RESIDUAL", residual)
            .when("GELU", gelu)
            .when("SLOPE", slope)
            .when("GELU_GRADIENT", gelu_gradient)
            .when("SUMS", sums)
            .when("SCALAR", scalar)
    }
}

/// A kernel that sums `summers` rows of A at a time, in as many partial sums as all tiles have.
fn summing(key: KernelKey, summers: u32) -> KernelKey {
    let held = PARTIALS / summers;
    key.constant("SUMMERS", summers)
        .constant("HELD", held)
        .constant("HALF", held / 2)
        .constant("QUARTER", held / 4)
        .constant("EIGHTH", held / 8)
}

/// Every kernel of a matrix product in one of [`TILES`], those for matrix units for all that are known.
pub(super) fn kernels() -> Vec<KernelKey> {
    let mut keys = Vec::new();
    let known = MatrixUnits::KNOWN.map(Some);
    for (tile, units) in
        TILES.into_iter().flat_map(|tile| [None].into_iter().chain(known).map(move |units| (tile, units)))
    {
        let wanted = units.map(|units| units.side);
        if wanted != tile.side() || !units.is_none_or(|units| tile.divides(units.lanes)) {
            continue;
        }
        for form in [Form::NN, Form::NT, Form::TN] {
            for epilogue in Epilogue::of(form) {
                let op = MatMul { form, batched: false, tile: None, epilogue };
                let scalar = (!wants_vectors(tile)).then_some((true, false));
                let ragged = matches!(tile, Tile::Shared { .. } | Tile::Matrix { .. }).then_some((false, true));
                let kinds = [(false, false)].into_iter().chain(scalar).chain(ragged);
                keys.extend(kinds.map(|(scalar, ragged)| op.key(units, tile, scalar, ragged)));
            }
        }
    }
    keys
}

/// Whether a tile is one for rows of whole vectors only.
fn wants_vectors(tile: Tile) -> bool {
    matches!(tile, Tile::Broadcast { .. } | Tile::Matrix { .. })
}

/// Whether both operands hold 16-bit floats.
fn are_halves(a: &TensorType, b: &TensorType) -> bool {
    a.dtype == DType::F16 && b.dtype == DType::F16
}

/// How k is split: so that there are enough workgroups, by shapes and kind of adapter and not by the tile, so that all
/// tiles sum alike.
#[derive(Clone, Copy, Debug)]
struct Splits {
    count: usize,
    /// Length of each part but the last.
    part: usize,
}

impl Splits {
    const NONE: fn(Extents) -> Splits = |e| Splits { count: 1, part: e.k.next_multiple_of(PART) };

    fn of(caps: Caps, e: Extents) -> Splits {
        let (tile_m, tile_n) = if caps.cpu { (32, 32) } else { Tile::USUAL.extent() };
        let groups = e.batch * e.m.div_ceil(tile_m) * e.n.div_ceil(tile_n);
        let (enough, least) = if caps.cpu { (16, 1024) } else { (4096, 256) };
        let wanted = (enough / groups.max(1)).clamp(1, (e.k / least).clamp(1, 64));
        let part = e.k.div_ceil(wanted).next_multiple_of(PART);
        Splits { count: e.k.div_ceil(part), part }
    }
}

fn params(e: Extents, splits: Splits, residual_rows: usize) -> Params {
    Params {
        m: e.m as u32,
        n: e.n as u32,
        k: e.k as u32,
        k_split: splits.part as u32,
        splits: splits.count as u32,
        a_stride: (e.m * e.k) as u32,
        b_stride: (e.k * e.n) as u32,
        residual_rows: residual_rows as u32,
        strip: STRIP,
    }
}

fn workgroups(tile: Tile, e: Extents, splits: Splits) -> [u32; 3] {
    let (tile_m, tile_n) = tile.extent();
    [e.n.div_ceil(tile_n) as u32, e.m.div_ceil(tile_m) as u32, (e.batch * splits.count) as u32]
}

impl Op for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [a, b] = take(inputs, [("a", Floats), ("b", Floats)])?;
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
        let dtype = if self.form == Form::TN && !self.batched { DType::F32 } else { a.dtype };
        Ok(vec![TensorType::f32(&shape).of(dtype)])
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
        let halves = are_halves(launcher.input_type(0), launcher.input_type(1));
        // Vector loads run along the last axes of A, B and C.
        let scalar =
            [launcher.input_type(0).last(), launcher.input_type(1).last(), e.n].iter().any(|last| last % 4 != 0);
        let suits =
            |tile: &Tile| tile.runs_on(caps) && !(scalar && wants_vectors(*tile)) && (halves || !tile.wants_halves());
        let splits = self.splits(caps, e);
        let measured = || {
            let name = launcher.choice(&self.class(&e, halves, splits.count)?)?;
            TILES.into_iter().find(|tile| tile.to_string() == name).filter(suits)
        };
        let chosen = || Tile::choose(caps, (e.m, e.n), e.batch * splits.count, !scalar, halves);
        let tile = self.tile.filter(suits).or_else(measured).unwrap_or_else(chosen);

        let mut next = 2;
        let mut take = |present: bool| {
            present.then(|| {
                next += 1;
                next - 1
            })
        };
        let (bias, residual) = (take(self.epilogue.bias), take(self.epilogue.residual));
        let slope = take(self.epilogue.gelu_gradient);
        let residual_rows = residual.map_or(1, |index| launcher.input_type(index).len() / e.n);
        let last = if self.epilogue.slope { launcher.output(1) } else { launcher.output(0) };
        let partial = splits.count > 1;
        let target = if partial { launcher.scratch(TensorType::f32(&[splits.count, e.m * e.n])) } else { last };
        let mut args: Vec<(u32, Arg)> = vec![(1, launcher.input(0)), (2, launcher.input(1)), (3, target)];
        args.extend(bias.map(|index| (4, launcher.input(index))));
        args.extend(residual.map(|index| (5, launcher.input(index))));
        if self.epilogue.slope {
            args.push((6, launcher.output(0)));
        }
        args.extend(slope.map(|index| (7, launcher.input(index))));
        let sums = self.epilogue.sums.then(|| match partial {
            true => launcher.scratch(TensorType::f32(&[splits.count, e.m])),
            false => launcher.output(1),
        });
        args.extend(sums.map(|sums| (8, sums)));
        let key = self.key(caps.matrix_units, tile, scalar, self.is_ragged(tile, &e));
        let params = params(e, splits, residual_rows);
        launcher.call_at(key, &params, &args, workgroups(tile, e, splits))?;
        if partial {
            let product = (target, last, e.m * e.n);
            match sums {
                Some(sums) => column_sum_pair(launcher, splits.count, [product, (sums, launcher.output(1), e.m)])?,
                None => column_sum_calls(launcher, target, last, (splits.count, e.m * e.n), None)?,
            }
        }
        Ok(())
    }

    fn absorb(&self, absorption: &Absorption<'_>) -> Option<Arc<dyn Op>> {
        if self.batched {
            return None;
        }
        let epilogue = self.epilogue.absorb(absorption)?;
        Some(Arc::new(MatMul { epilogue, ..*self }))
    }

    fn absorb_both(&self, readers: [&dyn Op; 2]) -> Option<Arc<dyn Op>> {
        let epilogue = self.epilogue.absorb_both(readers).filter(|_| !self.batched)?;
        Some(Arc::new(MatMul { epilogue, ..*self }))
    }

    fn beside(&self, sibling: &dyn Op, at: usize, inputs: &[&TensorType]) -> Option<Arc<dyn Op>> {
        let sum: &ColumnSum = (sibling as &dyn Any).downcast_ref()?;
        let fits = at == 0 && self.form == Form::TN && !self.batched && self.epilogue == Epilogue::default();
        let epilogue = Epilogue { sums: true, ..self.epilogue };
        (fits && sum.limit.is_none() && sum.shape == inputs[0].shape[inputs[0].shape.len() - 1..])
            .then(|| Arc::new(MatMul { epilogue, ..*self }) as Arc<dyn Op>)
    }

    fn flops(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> u64 {
        self.extents(inputs[0], inputs[1]).map_or(0, |e| e.batch as u64 * e.flops())
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
