//! Parameters of many dispatches in few uniform buffers.

use std::collections::HashMap;

use super::{BufferSlice, Gpu};

/// Bytes of a buffer: what Direct3D takes for the smallest there is, so that one for each dispatch would take as much.
const PAGE: u64 = 1 << 16;

/// Blocks of parameters; equal ones lie there once.
#[derive(Debug, Default)]
pub(super) struct Uniforms {
    known: HashMap<Vec<u8>, BufferSlice>,
    /// What is left of the newest buffer.
    rest: Option<BufferSlice>,
}

impl Uniforms {
    /// A block that holds `params`.
    pub fn block(&mut self, gpu: &Gpu, params: &[u8]) -> BufferSlice {
        if let Some(known) = self.known.get(params) {
            return known.clone();
        }
        let bytes = params.len().max(16).next_multiple_of(16) as u64;
        let taken = bytes.next_multiple_of(u64::from(gpu.limits().min_uniform_buffer_offset_alignment));
        let rest = self.rest.take().filter(|rest| rest.bytes >= taken);
        let rest = rest.unwrap_or_else(|| page(gpu, taken.max(PAGE)));
        let block = rest.part(0, bytes);
        gpu.queue().write_buffer(&block.buffer, block.offset, params);
        self.rest = Some(rest.part(taken, rest.bytes - taken));
        self.known.insert(params.to_vec(), block.clone());
        block
    }
}

fn page(gpu: &Gpu, size: u64) -> BufferSlice {
    BufferSlice::whole(gpu.device().create_buffer(&wgpu::BufferDescriptor {
        label: Some("uniforms"),
        size,
        usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::GpuOptions;

    #[test]
    fn equal_blocks_are_one_and_others_lie_apart() {
        let gpu = pollster::block_on(Gpu::open(&GpuOptions::default())).expect("an adapter");
        let mut uniforms = Uniforms::default();
        let params = |number: u32| [number; 5].map(u32::to_le_bytes).concat();
        // More than one buffer holds.
        let blocks: Vec<BufferSlice> = (0..5000).map(|number| uniforms.block(&gpu, &params(number))).collect();
        for pair in blocks.windows(2) {
            let next = pair[0].offset + pair[0].bytes <= pair[1].offset;
            assert!(next || !std::ptr::eq(&*pair[0].buffer, &*pair[1].buffer) && pair[1].offset == 0);
        }
        assert!(blocks.iter().all(|block| block.bytes == 32));
        let again = uniforms.block(&gpu, &params(7));
        assert_eq!((again.offset, std::ptr::eq(&*again.buffer, &*blocks[7].buffer)), (blocks[7].offset, true));
        gpu.check().expect("nothing refused");
    }
}
