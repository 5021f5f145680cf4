//! One small graph with what it should compute, and how it is run.

use super::random::{Random, poison};
use super::twins::{exact, relative_error};
use super::{KernelReport, report};
use crate::gpu::{BufferSlice, Gpu, KernelKey, Uploads};
use crate::graph::{Caps, Externals, Graph, GraphError, Layout, Plan, TensorType, Var};

/// What a tensor should hold.
#[derive(Clone, Debug)]
enum Want {
    /// Floats, within the tolerance of the case.
    Near(Vec<f64>),
    /// Floats, to the bit, but for those of NaNs.
    Floats(Vec<f32>),
    /// Words, to the bit.
    Bits(Vec<u32>),
}

/// A graph, its inputs and what comes out.
#[derive(Debug)]
pub(super) struct Case {
    /// The graph.
    pub graph: Graph,
    /// Where its inputs come from.
    pub random: Random,
    what: String,
    tolerance: f64,
    inputs: Vec<(String, Vec<u32>)>,
    wants: Vec<(Var, Want)>,
}

impl Case {
    /// An empty graph; `what` tells shapes and settings.
    pub fn new(what: impl Into<String>, tolerance: f64) -> Case {
        let what = what.into();
        // Other numbers in each case, but always the same.
        let seed = what.bytes().fold(1, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let random = Random(seed);
        Case { graph: Graph::new(), random, what, tolerance, inputs: Vec::new(), wants: Vec::new() }
    }

    fn input(&mut self, ty: TensorType, words: Vec<u32>) -> Var {
        let name = format!("input {}", self.inputs.len());
        self.inputs.push((name.clone(), words));
        self.graph.external(name, ty)
    }

    /// An input of these numbers.
    pub fn floats(&mut self, shape: &[usize], values: &[f32]) -> Var {
        self.input(TensorType::f32(shape), values.iter().map(|x| x.to_bits()).collect())
    }

    /// An input of these words.
    pub fn words(&mut self, shape: &[usize], values: &[u32]) -> Var {
        self.input(TensorType::u32(shape), values.to_vec())
    }

    /// An input of random numbers, `scale` at most, and the same in f64.
    pub fn noise(&mut self, shape: &[usize], scale: f32) -> (Var, Vec<f64>) {
        let values: Vec<f32> = self.random.vec(shape.iter().product()).iter().map(|x| x * scale).collect();
        (self.floats(shape, &values), exact(&values))
    }

    /// Asks for `var` to be near `want`.
    pub fn near(&mut self, var: Var, want: Vec<f64>) {
        self.wants.push((var, Want::Near(want)));
    }

    /// Asks for `var` to be `want` to the bit.
    pub fn words_are(&mut self, var: Var, want: &[u32]) {
        self.wants.push((var, Want::Bits(want.to_vec())));
    }

    /// Asks for `var` to be `want` to the bit, any NaN where that is one.
    pub fn floats_are(&mut self, var: Var, want: &[f32]) {
        self.wants.push((var, Want::Floats(want.to_vec())));
    }

    /// Runs the graph with the kernels for each kind of adapter, once where these are the same.
    pub async fn run(&self, gpu: &Gpu) -> Result<Vec<KernelReport>, GraphError> {
        let mut seen = Vec::new();
        let mut reports = Vec::new();
        for caps in kinds(gpu) {
            let (plan, externals) = self.plan(gpu, caps).await?;
            let dispatches = plan.list().dispatches.iter();
            let kernels: Vec<(String, [u32; 3])> =
                dispatches.map(|dispatch| (dispatch.kernel.name.clone(), dispatch.workgroups)).collect();
            if !seen.contains(&kernels) {
                reports.extend(self.compare(gpu, &(plan, externals)).await?);
                seen.push(kernels);
            }
        }
        Ok(reports)
    }

    /// The kernels that it runs.
    pub fn kernels(&self, gpu: &Gpu) -> Result<Vec<KernelKey>, GraphError> {
        let kernels = kinds(gpu).map(|caps| Ok(self.layout(caps)?.kernels()));
        Ok(kernels.into_iter().collect::<Result<Vec<_>, GraphError>>()?.concat())
    }

    fn roots(&self) -> Vec<Var> {
        self.wants.iter().map(|(var, _)| *var).collect()
    }

    fn layout(&self, caps: Caps) -> Result<Layout, GraphError> {
        Layout::of(&self.graph, &self.roots(), caps)
    }

    async fn plan(&self, gpu: &Gpu, caps: Caps) -> Result<(Plan, Externals), GraphError> {
        let layout = self.layout(caps)?;
        let mut externals = Externals::new();
        externals.allocate(gpu, &self.graph).await?;
        Ok((Plan::new(gpu, &self.graph, &layout, &self.roots(), &externals).await?, externals))
    }

    async fn compare(&self, gpu: &Gpu, (plan, externals): &(Plan, Externals)) -> Result<Vec<KernelReport>, GraphError> {
        let mut random = Random(99);
        for slot in plan.slots() {
            poison(gpu, slot, &mut random);
        }
        for (name, words) in &self.inputs {
            let slice = externals.need(name)?;
            gpu.upload(slice, words);
        }
        plan.run(gpu);
        let slices: Vec<BufferSlice> = self.wants.iter().filter_map(|(var, _)| plan.slice(*var).cloned()).collect();
        let read = gpu.read("results", &slices).await?;
        gpu.check()?;
        let errors = read.iter().zip(&self.wants).map(|(bytes, (_, want))| {
            let got: Vec<u32> = bytemuck::pod_collect_to_vec(bytes);
            let floats = || got.iter().copied().map(f32::from_bits).collect::<Vec<f32>>();
            match want {
                Want::Near(want) => relative_error(&floats(), want),
                Want::Floats(want) => share_wrong(&with_one_nan(&floats()), &with_one_nan(want)),
                Want::Bits(want) => share_wrong(&got, want),
            }
        });
        let error = errors.fold(0.0, f64::max);
        Ok(report(plan.list(), &self.what, error, self.tolerance))
    }
}

/// What kernels go by: GPUs whose invocations have many registers, those where they have few, and processors.
fn kinds(gpu: &Gpu) -> [Caps; 3] {
    let caps = |cpu, few_registers| Caps { cpu, few_registers, ..Caps::of(gpu) };
    [caps(false, false), caps(false, true), caps(true, false)]
}

/// The bits of `floats`, the same for every NaN: adapters differ in those.
fn with_one_nan(floats: &[f32]) -> Vec<u32> {
    floats.iter().map(|x| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }).collect()
}

/// Which share of the words of `got` is not that of `want`.
pub(super) fn share_wrong(got: &[u32], want: &[u32]) -> f64 {
    let wrong = got.iter().zip(want).filter(|(got, want)| got != want).count() + got.len().abs_diff(want.len());
    wrong as f64 / want.len().max(1) as f64
}
