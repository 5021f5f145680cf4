//! How ops write their kernel launches, before any memory is chosen.

use super::{Choices, DType, GraphError, TensorType};
use crate::gpu::{Gpu, KernelKey, MatrixUnits};

/// What an op may know of the adapter when it chooses kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Kernels run on a processor: register tiles, no barriers.
    pub cpu: bool,
    /// Invocations have far fewer than 255 registers, or nobody knows: smaller tiles.
    pub few_registers: bool,
    /// Whether buffers can hold 16-bit floats.
    pub f16: bool,
    /// Subgroup size, where subgroups can be used and have one size only.
    pub subgroup: Option<u32>,
    /// Matrix units, where there are some and they compute rightly.
    pub matrix_units: Option<MatrixUnits>,
    /// Most bytes of one binding.
    pub max_binding: u64,
    /// Most workgroups in one dimension.
    pub max_workgroups: u32,
    /// Most invocations of one workgroup.
    pub max_invocations: u32,
    /// Workgroup memory in bytes.
    pub workgroup_memory: u32,
}

impl Caps {
    /// Of a device.
    pub fn of(gpu: &Gpu) -> Self {
        let limits = gpu.limits();
        Caps {
            cpu: gpu.is_cpu(),
            few_registers: gpu.has_few_registers(),
            f16: gpu.features().contains(wgpu::Features::SHADER_F16),
            subgroup: gpu.subgroup_size(),
            matrix_units: gpu.trusted_matrix_units(),
            max_binding: gpu.max_binding(),
            max_workgroups: limits.max_compute_workgroups_per_dimension,
            max_invocations: limits.max_compute_invocations_per_workgroup,
            workgroup_memory: limits.max_compute_workgroup_storage_size,
        }
    }
}

/// A tensor as a launch names it: an index into the tensors of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Arg(pub(super) usize);

/// One kernel launch.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which kernel.
    pub key: KernelKey,
    /// The uniform at binding 0.
    pub params: Vec<u8>,
    /// Bindings from 1 on.
    pub args: Vec<(u32, Arg)>,
    /// Workgroups in x, y, z.
    pub workgroups: [u32; 3],
}

/// Collects the launches of one op.
pub struct Launcher<'a> {
    pub(super) caps: Caps,
    pub(super) choices: &'a Choices,
    pub(super) inputs: Vec<(Arg, &'a TensorType)>,
    pub(super) outputs: Vec<(Arg, &'a TensorType)>,
    pub(super) scratch: Vec<TensorType>,
    pub(super) first_scratch: usize,
    pub(super) calls: Vec<Call>,
}

impl Launcher<'_> {
    /// What the adapter can do.
    pub fn caps(&self) -> Caps {
        self.caps
    }

    /// The kernel chosen for `class`, where one was.
    pub fn choice(&self, class: &str) -> Option<&str> {
        self.choices.get(class).map(String::as_str)
    }

    /// Input `index`.
    pub fn input(&self, index: usize) -> Arg {
        self.inputs[index].0
    }

    /// Type of input `index`.
    pub fn input_type(&self, index: usize) -> &TensorType {
        self.inputs[index].1
    }

    /// Output `index`.
    pub fn output(&self, index: usize) -> Arg {
        self.outputs[index].0
    }

    /// Type of output `index`.
    pub fn output_type(&self, index: usize) -> &TensorType {
        self.outputs[index].1
    }

    /// Memory that lives for this op alone.
    pub fn scratch(&mut self, ty: TensorType) -> Arg {
        self.scratch.push(ty);
        Arg(self.first_scratch + self.scratch.len() - 1)
    }

    /// Launches `key` on `workgroups`.
    ///
    /// `params` is the shader's uniform struct; `args` are its bindings from 1 on.
    pub fn call<P: bytemuck::NoUninit>(
        &mut self,
        key: KernelKey,
        params: &P,
        args: &[Arg],
        workgroups: [u32; 3],
    ) -> Result<(), GraphError> {
        let numbered: Vec<(u32, Arg)> = (1..).zip(args.iter().copied()).collect();
        self.call_at(key, params, &numbered, workgroups)
    }

    /// As [`Launcher::call`], with a binding number for each argument: conditions may leave some out.
    pub fn call_at<P: bytemuck::NoUninit>(
        &mut self,
        key: KernelKey,
        params: &P,
        args: &[(u32, Arg)],
        workgroups: [u32; 3],
    ) -> Result<(), GraphError> {
        if workgroups.contains(&0) {
            return Ok(());
        }
        let params = bytemuck::bytes_of(params).to_vec();
        let mut halves: Vec<u32> =
            args.iter().filter(|(_, arg)| self.dtype(*arg) == Some(DType::F16)).map(|(binding, _)| *binding).collect();
        halves.sort_unstable();
        let key = key.halves(halves);
        self.calls.push(Call { key, params, args: args.to_vec(), workgroups });
        Ok(())
    }

    fn dtype(&self, arg: Arg) -> Option<DType> {
        let given = self.inputs.iter().chain(&self.outputs).find(|(known, _)| *known == arg).map(|(_, ty)| *ty);
        given.or_else(|| self.scratch.get(arg.0.checked_sub(self.first_scratch)?)).map(|ty| ty.dtype)
    }

    /// Workgroups for `length` invocations in groups of `size`, spread over x and y, and the invocations of one row.
    ///
    /// A kernel finds its element by `element` of `shaders/lib/spread.wgsl`.
    pub fn spread(&self, length: usize, size: u32) -> ([u32; 3], u32) {
        spread(length, size, self.caps.max_workgroups)
    }
}

/// As [`Launcher::spread`], where at most `most` workgroups lie side by side.
pub(crate) fn spread(length: usize, size: u32, most: u32) -> ([u32; 3], u32) {
    let groups = (length as u64).div_ceil(u64::from(size));
    let x = groups.clamp(1, u64::from(most));
    ([x as u32, groups.div_ceil(x) as u32, 1], x as u32 * size)
}
