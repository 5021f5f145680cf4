//! Runs an op on the adapter and compares it with a plain f64 twin, and its gradient rule with central differences.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod left_out;

use std::sync::{Arc, OnceLock};

use unmask::eval::kernels::{poison, twins};
use unmask::gpu::{BufferSlice, Gpu, GpuOptions, Uploads};
use unmask::graph::{DType, Externals, Graph, GraphError, Plan, TensorType, Var};
use unmask::ops;

pub use unmask::eval::kernels::Random;

/// The adapter of the tests, opened once; its name is printed so that a log tells what was tested.
pub fn gpu() -> Arc<Gpu> {
    gpu_as(true)
}

/// The adapter with the kernels for processors, or with those for GPUs: both have to be right on either.
pub fn gpu_as(processor: bool) -> Arc<Gpu> {
    static GPUS: [OnceLock<Arc<Gpu>>; 2] = [OnceLock::new(), OnceLock::new()];
    GPUS[usize::from(processor)]
        .get_or_init(|| {
            let options = GpuOptions { processor: Some(processor), ..GpuOptions::default() };
            let gpu = pollster::block_on(Gpu::open(&options)).expect("an adapter");
            println!("adapter: {:?}, kernels for {}", gpu.summary(), if processor { "processors" } else { "GPUs" });
            gpu
        })
        .clone()
}

/// Says that `what` is left out on this adapter. In CI the driver of Mesa's for processors is there for all tests: unless
/// another one was asked for, nothing is to be left out.
pub fn left_out_of(gpu: &Gpu, what: &str) {
    let is = |name: &str, expected: &str| std::env::var(name).is_ok_and(|value| value == expected);
    let chosen = |name: &&str| std::env::var_os(name).is_some();
    let processor = gpu.adapter().get_info().device_type == wgpu::DeviceType::Cpu;
    let other = ["WGPU_ADAPTER_NAME", "VK_DRIVER_FILES", "VK_ICD_FILENAMES"].iter().any(chosen);
    assert!(!(cfg!(target_os = "linux") && is("CI", "true") && processor && !other), "in CI: {what}");
    left_out::left_out(what);
}

/// Data of an external tensor.
#[derive(Clone, Debug)]
pub enum Data {
    F32(Vec<f32>),
    U32(Vec<u32>),
}

impl Data {
    pub fn f32(&self) -> &[f32] {
        match self {
            Data::F32(v) => v,
            Data::U32(_) => panic!("u32 data where f32 was expected"),
        }
    }
}

/// Runs `graph` with the external tensors `inputs` and returns the `roots`; all memory is poisoned before.
pub fn run(graph: &Graph, inputs: &[(&str, Data)], roots: &[Var]) -> Vec<Vec<f32>> {
    run_on(&gpu(), graph, inputs, roots)
}

/// As [`run`], on a given device.
pub fn run_on(gpu: &Gpu, graph: &Graph, inputs: &[(&str, Data)], roots: &[Var]) -> Vec<Vec<f32>> {
    run_bits_on(gpu, graph, inputs, roots)
        .into_iter()
        .map(|bits| bits.into_iter().map(f32::from_bits).collect())
        .collect()
}

/// As [`run`], but raw words.
pub fn run_bits(graph: &Graph, inputs: &[(&str, Data)], roots: &[Var]) -> Vec<Vec<u32>> {
    run_bits_on(&gpu(), graph, inputs, roots)
}

/// As [`run_bits`], on a given device.
pub fn run_bits_on(gpu: &Gpu, graph: &Graph, inputs: &[(&str, Data)], roots: &[Var]) -> Vec<Vec<u32>> {
    let mut random = Random(99);
    let mut externals = Externals::new();
    let plan = pollster::block_on(Plan::build(gpu, graph, roots, &mut externals)).expect("a plan");
    for slot in plan.slots() {
        poison(gpu, slot, &mut random);
    }
    for root in roots {
        poison(gpu, plan.slice(*root).expect("a root"), &mut random);
    }
    for (name, data) in inputs {
        let slice = externals.get(name).expect("an input");
        match data {
            Data::F32(values) => gpu.upload(slice, values),
            Data::U32(values) => gpu.upload(slice, values),
        }
    }
    plan.run(gpu);
    let slices: Vec<BufferSlice> = roots.iter().map(|root| plan.slice(*root).expect("a root").clone()).collect();
    let read = pollster::block_on(gpu.read("roots", &slices)).expect("a readback");
    read.iter().map(|bytes| bytemuck::pod_collect_to_vec(bytes)).collect()
}

/// Adds an op to a graph.
pub type Build<'a> = dyn Fn(&mut Graph, &[Var]) -> Result<Vec<Var>, GraphError> + 'a;
/// The same op in f64.
pub type Twin<'a> = dyn Fn(&[Vec<f64>]) -> Vec<Vec<f64>> + 'a;

/// An op under test.
pub struct Case<'a> {
    /// Shape and data of each input.
    pub inputs: Vec<(TensorType, Data)>,
    /// Which inputs get their gradient checked.
    pub wants: Vec<bool>,
    /// Builds the op; its first result is compared, the others too.
    pub build: &'a Build<'a>,
    /// The same in f64: flattened f32 inputs (u32 inputs as numbers) to the flattened results.
    pub twin: &'a Twin<'a>,
}

/// An f32 input of random numbers.
pub fn random_input(random: &mut Random, shape: &[usize]) -> (TensorType, Data) {
    let ty = TensorType::f32(shape);
    let data = Data::F32(random.vec(ty.len()));
    (ty, data)
}

/// Asserts that two vectors agree in relative L2 norm.
pub fn assert_close(what: &str, got: &[f32], want: &[f64], tolerance: f64) {
    let error = twins::relative_error(got, want);
    if error > tolerance {
        let near = |(g, w): (&f32, &f64)| (f64::from(*g) - w).abs() <= tolerance * (1.0 + w.abs());
        let at = got.iter().zip(want).position(|pair| !near(pair));
        let detail = at.map(|i| format!("first at {i}: got {}, want {}", got[i], want[i])).unwrap_or_default();
        panic!("{what}: relative error {error:.3e} > {tolerance:.0e}; {detail}");
    }
}

/// Checks the results of a case against its twin, and its gradients against central differences of the twin.
pub fn check(what: &str, case: &Case<'_>) {
    check_to(what, case, 2e-6, 2e-5);
}

/// As [`check`], with tolerances of its own.
pub fn check_to(what: &str, case: &Case<'_>, forward: f64, backward: f64) {
    let names: Vec<String> = (0..case.inputs.len()).map(|i| format!("input {i}")).collect();
    let mut graph = Graph::new();
    let vars: Vec<Var> =
        case.inputs.iter().zip(&names).map(|((ty, _), name)| graph.external(name.clone(), ty.clone())).collect();
    let outputs = (case.build)(&mut graph, &vars).expect(what);
    let mut inputs: Vec<(&str, Data)> =
        names.iter().map(String::as_str).zip(case.inputs.iter().map(|(_, data)| data.clone())).collect();
    let exact: Vec<Vec<f64>> = case
        .inputs
        .iter()
        .map(|(_, data)| match data {
            Data::F32(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Data::U32(v) => v.iter().map(|x| f64::from(*x)).collect(),
        })
        .collect();
    let want = (case.twin)(&exact);
    for processor in [true, false] {
        let got = run_on(&gpu_as(processor), &graph, &inputs, &outputs);
        assert_eq!(got.len(), want.len(), "{what}: number of results");
        for (index, (got, want)) in got.iter().zip(&want).enumerate() {
            assert_close(&format!("{what}, result {index}, processor {processor}"), got, want, forward);
        }
    }
    if !case.wants.contains(&true) {
        return;
    }

    let seed_type = graph.ty(outputs[0]).clone();
    assert_eq!(seed_type.dtype, DType::F32);
    let dy = Random(7).vec(seed_type.len());
    let seed = graph.external("seed", seed_type);
    let wrt: Vec<Var> = vars.iter().zip(&case.wants).filter(|(_, wanted)| **wanted).map(|(var, _)| *var).collect();
    let grads = ops::gradients_from(&mut graph, &[(outputs[0], seed)], &wrt).expect(what);
    let roots: Vec<Var> = grads.iter().map(|grad| grad.expect("a gradient")).collect();
    inputs.push(("seed", Data::F32(dy.clone())));
    let got = [true, false].map(|processor| run_on(&gpu_as(processor), &graph, &inputs, &roots));
    let wanted: Vec<usize> = (0..case.inputs.len()).filter(|i| case.wants[*i]).collect();
    for (position, input) in wanted.into_iter().enumerate() {
        let mut moved = exact.clone();
        let step = 1e-4;
        let want: Vec<f64> = (0..exact[input].len())
            .map(|i| {
                let mut at = |delta: f64| -> f64 {
                    moved[input][i] = exact[input][i] + delta;
                    (case.twin)(&moved)[0].iter().zip(&dy).map(|(y, d)| y * f64::from(*d)).sum()
                };
                let slope = (at(step) - at(-step)) / (2.0 * step);
                moved[input][i] = exact[input][i];
                slope
            })
            .collect();
        for got in &got {
            assert_close(&format!("{what}, gradient of input {input}"), &got[position], &want, backward);
        }
    }
}
