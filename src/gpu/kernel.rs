//! Compiled compute kernels and how they are named.

use super::GpuError;
use crate::shaders;

/// What a kernel is compiled from: shader, conditions and constants.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KernelKey {
    /// Name of the shader file, without ending.
    pub shader: &'static str,
    /// Conditions of the shader that hold.
    pub conditions: Vec<&'static str>,
    /// Values of module constants that differ from the shader's own.
    pub constants: Vec<(&'static str, u32)>,
    /// Bindings whose buffers hold 16-bit floats, ascending.
    pub halves: Vec<u32>,
}

impl KernelKey {
    /// A shader with no condition and its own constants.
    pub fn new(shader: &'static str) -> Self {
        KernelKey { shader, conditions: Vec::new(), constants: Vec::new(), halves: Vec::new() }
    }

    /// With `condition` if `holds`.
    #[must_use]
    pub fn when(mut self, condition: &'static str, holds: bool) -> Self {
        if holds {
            self.conditions.push(condition);
        }
        self
    }

    /// With module constant `name` set to `value`.
    #[must_use]
    pub fn constant(mut self, name: &'static str, value: u32) -> Self {
        self.constants.push((name, value));
        self
    }

    /// With 16-bit floats in the buffers at `bindings`, ascending.
    #[must_use]
    pub fn halves(mut self, bindings: Vec<u32>) -> Self {
        self.halves = bindings;
        self
    }

    /// The complete WGSL of this kernel.
    pub fn source(&self) -> Result<String, GpuError> {
        let fail = |reason: String| GpuError::Kernel { kernel: self.to_string(), reason };
        let source = shaders::find(self.shader, &self.conditions).ok_or_else(|| fail("no such shader".to_owned()))?;
        let source = shaders::half_stored(source, &self.halves).map_err(fail)?;
        shaders::specialise(&source, &self.constants).map_err(fail)
    }
}

impl std::fmt::Display for KernelKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.shader)?;
        self.conditions.iter().try_for_each(|condition| write!(f, "+{condition}"))?;
        self.constants.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))?;
        if self.halves.is_empty() { Ok(()) } else { write!(f, " f16{:?}", self.halves) }
    }
}

/// A compiled kernel.
#[derive(Debug)]
pub struct Kernel {
    /// Name, conditions and constants, for labels and profiles.
    pub name: String,
    /// The pipeline.
    pub pipeline: wgpu::ComputePipeline,
    /// Layout of bind group 0.
    pub layout: wgpu::BindGroupLayout,
}

impl Kernel {
    pub(super) fn compile(device: &wgpu::Device, key: &KernelKey, checked: bool) -> Result<Kernel, GpuError> {
        let name = key.to_string();
        let descriptor =
            wgpu::ShaderModuleDescriptor { label: Some(&name), source: wgpu::ShaderSource::Wgsl(key.source()?.into()) };
        let module = if checked {
            device.create_shader_module(descriptor)
        } else {
            // SAFETY: every kernel guards its own accesses and ends its loops; the tests run all of them checked,
            // against reference results, in buffers with poisoned surroundings.
            unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
        };
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&name),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &[],
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        let layout = pipeline.get_bind_group_layout(0);
        Ok(Kernel { name, pipeline, layout })
    }
}
