//! Lists of dispatches, run whole or in slices.

use std::ops::Range;
use std::sync::Arc;

use super::pace::MAX_SUBMIT;
use super::uniforms::Uniforms;
use super::{BufferSlice, Gpu, GpuError, Kernel, KernelKey, OwnedBuffer};

/// One prepared kernel launch.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// The kernel.
    pub kernel: Arc<Kernel>,
    /// Its bindings.
    pub bind_group: wgpu::BindGroup,
    #[expect(dead_code, reason = "what is bound has to live as long as it may run")]
    held: Vec<Arc<OwnedBuffer>>,
    /// Workgroups in x, y and z.
    pub workgroups: [u32; 3],
    /// Bytes of all that it binds, the uniform aside: what it moves if it reads or writes each once.
    pub bytes: u64,
    /// The op it belongs to, for profiles.
    pub op: &'static str,
    /// What it does, for profiles.
    pub work: Work,
}

/// What a dispatch does, where its list says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Shapes of what its op reads.
    pub shapes: String,
    /// Floating-point operations; those of an op of several dispatches are put down to the first.
    pub flops: u64,
}

/// Dispatches in order.
#[derive(Debug, Default)]
pub struct DispatchList {
    /// The dispatches.
    pub dispatches: Vec<Dispatch>,
    uniforms: Uniforms,
}

impl From<Vec<Dispatch>> for DispatchList {
    fn from(dispatches: Vec<Dispatch>) -> DispatchList {
        DispatchList { dispatches, uniforms: Uniforms::default() }
    }
}

/// Where a sliced run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slices {
    /// Index of the dispatch that comes next.
    pub next: usize,
}

impl DispatchList {
    /// Adds a launch of `key` with `params` (the uniform at binding 0) and `buffers` by binding.
    pub fn push(
        &mut self,
        gpu: &Gpu,
        op: &'static str,
        key: &KernelKey,
        params: &[u8],
        buffers: &[(u32, BufferSlice)],
        workgroups: [u32; 3],
    ) -> Result<(), GpuError> {
        let kernel = gpu.kernel(key)?;
        let limit = gpu.limits().max_compute_workgroups_per_dimension;
        if let Some(groups) = workgroups.iter().find(|groups| **groups > limit) {
            return Err(GpuError::Kernel {
                kernel: kernel.name.clone(),
                reason: format!("{groups} workgroups in one dimension, of {limit} allowed"),
            });
        }
        let uniform = (0, self.uniforms.block(gpu, params));
        let bound = || buffers.iter().chain([&uniform]);
        let entries: Vec<wgpu::BindGroupEntry<'_>> = bound()
            .map(|(binding, slice)| wgpu::BindGroupEntry { binding: *binding, resource: slice.binding() })
            .collect();
        let bind_group = gpu.device().create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&kernel.name),
            layout: &kernel.layout,
            entries: &entries,
        });
        let bytes = buffers.iter().map(|(_, slice)| slice.bytes).sum();
        let held = bound().map(|(_, slice)| slice.buffer.clone()).collect();
        self.dispatches.push(Dispatch { kernel, bind_group, held, workgroups, bytes, op, work: Work::default() });
        Ok(())
    }

    /// Encodes and submits all dispatches.
    pub fn run(&self, gpu: &Gpu) {
        let mut slices = Slices::default();
        while !self.run_slice(gpu, &mut slices, MAX_SUBMIT) {}
    }

    /// Submits at most `most` further dispatches; true when the list is done.
    pub fn run_slice(&self, gpu: &Gpu, slices: &mut Slices, most: usize) -> bool {
        self.run_slice_and_copy(gpu, slices, most, None)
    }

    /// As [`DispatchList::run_slice`]; behind the last of all dispatches goes a copy of one slice to the start of another,
    /// see [`Gpu::copy`].
    pub fn run_slice_and_copy(
        &self,
        gpu: &Gpu,
        slices: &mut Slices,
        most: usize,
        copy: Option<[&BufferSlice; 2]>,
    ) -> bool {
        let end = self.dispatches.len().min(slices.next.saturating_add(most.max(1)));
        let done = end == self.dispatches.len();
        let mut encoder = self.encoder(gpu, slices.next..end);
        if let (true, Some([from, to])) = (done, copy) {
            from.encode_copy(&mut encoder, to);
        }
        gpu.submit([encoder.finish()]);
        gpu.count_dispatches(end - slices.next);
        slices.next = end;
        done
    }

    /// The commands of the dispatches in `range`, in one pass.
    pub fn encode(&self, gpu: &Gpu, range: Range<usize>) -> wgpu::CommandBuffer {
        self.encoder(gpu, range).finish()
    }

    fn encoder(&self, gpu: &Gpu, range: Range<usize>) -> wgpu::CommandEncoder {
        let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("plan") });
        {
            let mut pass = encoder
                .begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some("plan"), timestamp_writes: None });
            for dispatch in &self.dispatches[range] {
                pass.set_pipeline(&dispatch.kernel.pipeline);
                pass.set_bind_group(0, &dispatch.bind_group, &[]);
                pass.dispatch_workgroups(dispatch.workgroups[0], dispatch.workgroups[1], dispatch.workgroups[2]);
            }
        }
        encoder
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::{GpuOptions, Uploads as _};

    #[test]
    fn a_copy_comes_behind_the_last_slice_alone() {
        pollster::block_on(async {
            let gpu = Gpu::open(&GpuOptions::default()).await.expect("an adapter");
            let names = ["numbers", "from", "to"].map(|name| (name.to_owned(), 4));
            let buffers = gpu.buffers(names).await.expect("buffers");
            let [numbers, from, to] = [0, 1, 2].map(|index| &buffers[index]);
            let mut list = DispatchList::default();
            // One number to be written, in a row of one.
            let params: Vec<u8> = [1u32, 1, 0, 0].into_iter().flat_map(u32::to_le_bytes).collect();
            for _ in 0..2 {
                let bound = [(1, numbers.clone())];
                list.push(&gpu, "fill", &KernelKey::new("fill"), &params, &bound, [1, 1, 1]).expect("a dispatch");
            }
            gpu.upload(from, &[7u32]);
            gpu.upload(to, &[0u32]);
            let mut slices = Slices::default();
            for (done, number) in [(false, 0), (true, 7)] {
                assert_eq!(list.run_slice_and_copy(&gpu, &mut slices, 1, Some([from, to])), done);
                gpu.reached(gpu.mark_last()).await.expect("done");
                assert_eq!(gpu.read_one::<u32>("to", to).await.expect("a number"), [number]);
            }
        });
    }
}
