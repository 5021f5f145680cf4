//! Pieces of GPU memory: slices of buffers, uploads into them and readback from them.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Gpu, GpuError};

/// A buffer whose memory is given back once nobody holds it any more.
///
/// Natively it would be all the same. In a browser it would wait until garbage is collected, by a collector that sees
/// nothing of the GPU's memory: models that follow each other would fill it.
#[derive(Debug)]
pub struct OwnedBuffer(wgpu::Buffer);

impl Deref for OwnedBuffer {
    type Target = wgpu::Buffer;

    fn deref(&self) -> &wgpu::Buffer {
        &self.0
    }
}

impl Drop for OwnedBuffer {
    fn drop(&mut self) {
        // What was submitted before still finds it.
        self.0.destroy();
    }
}

/// A range of bytes in a storage buffer.
#[derive(Clone, Debug)]
pub struct BufferSlice {
    /// The buffer.
    pub buffer: Arc<OwnedBuffer>,
    /// First byte; a multiple of the device's `min_storage_buffer_offset_alignment` where it is bound.
    pub offset: u64,
    /// Length in bytes.
    pub bytes: u64,
}

impl BufferSlice {
    /// All of `buffer`.
    pub(super) fn whole(buffer: wgpu::Buffer) -> Self {
        let bytes = buffer.size();
        BufferSlice { buffer: Arc::new(OwnedBuffer(buffer)), offset: 0, bytes }
    }

    /// A part of this slice.
    ///
    /// # Panics
    /// Where it goes beyond the slice: what lies there is another tensor's.
    #[must_use]
    pub fn part(&self, offset: u64, bytes: u64) -> Self {
        let inside = offset.checked_add(bytes).is_some_and(|end| end <= self.bytes);
        assert!(inside, "{bytes} bytes from {offset} of {}", self.bytes);
        BufferSlice { buffer: self.buffer.clone(), offset: self.offset + offset, bytes }
    }

    /// Records a copy of all of it to the start of `to`, which must not lie in the same buffer.
    pub(super) fn encode_copy(&self, encoder: &mut wgpu::CommandEncoder, to: &BufferSlice) {
        assert!(self.bytes <= to.bytes, "copy of {} into {} bytes", self.bytes, to.bytes);
        let bytes = self.bytes.next_multiple_of(4);
        encoder.copy_buffer_to_buffer(&self.buffer, self.offset, &to.buffer, to.offset, bytes);
    }

    /// As a binding.
    pub fn binding(&self) -> wgpu::BindingResource<'_> {
        wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &self.buffer,
            offset: self.offset,
            size: wgpu::BufferSize::new(self.bytes.next_multiple_of(4)),
        })
    }
}

/// Uploads to buffers.
pub trait Uploads {
    /// Writes `values` to the start of `slice`, ordered before whatever is submitted next.
    ///
    /// # Panics
    /// Where `slice` has no room for them.
    fn upload<T: bytemuck::NoUninit>(&self, slice: &BufferSlice, values: &[T]);
}

impl Uploads for Gpu {
    fn upload<T: bytemuck::NoUninit>(&self, slice: &BufferSlice, values: &[T]) {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        assert!(bytes.len() as u64 <= slice.bytes, "upload of {} into {} bytes", bytes.len(), slice.bytes);
        self.queue().write_buffer(&slice.buffer, slice.offset, bytes);
    }
}

impl Gpu {
    /// Copies of several slices, in order, in one transfer, after all work submitted so far.
    ///
    /// Resolves when the copy is done; natively something must poll the device meanwhile, and this does.
    pub async fn read(&self, label: &str, slices: &[BufferSlice]) -> Result<Vec<Vec<u8>>, GpuError> {
        let fail = |reason: String| self.failed(GpuError::Readback { label: label.to_owned(), reason });
        let total: u64 = slices.iter().map(|slice| slice.bytes.next_multiple_of(4)).sum();
        let staging = OwnedBuffer(self.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: total.max(4),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        }));
        let mut encoder = self.device().create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some(label) });
        let mut at = 0;
        for slice in slices {
            let bytes = slice.bytes.next_multiple_of(4);
            encoder.copy_buffer_to_buffer(&slice.buffer, slice.offset, &staging, at, bytes);
            at += bytes;
        }
        self.submit([encoder.finish()]);
        let (sender, receiver) = crate::platform::signal();
        let outcome = Arc::new(Mutex::new(None));
        let slot = outcome.clone();
        staging.slice(..).map_async(wgpu::MapMode::Read, move |result| {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            sender.notify();
        });
        self.told(receiver, wgpu::PollType::wait_indefinitely()).await.map_err(|error| fail(error.to_string()))?;
        let mapped = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        match mapped {
            Some(Ok(())) => {}
            Some(Err(error)) => return Err(self.check().err().unwrap_or_else(|| fail(error.to_string()))),
            None => return Err(fail("the device dropped the request".to_owned())),
        }
        self.check()?;
        let view = staging.slice(..).get_mapped_range().map_err(|error| fail(error.to_string()))?;
        let mut at = 0;
        Ok(slices
            .iter()
            .map(|slice| {
                let piece = view[at..at + slice.bytes as usize].to_vec();
                at += slice.bytes.next_multiple_of(4) as usize;
                piece
            })
            .collect())
    }

    /// Copies `from` to the start of `to`, after all work submitted so far; they must not lie in one buffer.
    ///
    /// # Panics
    /// Where `to` is shorter.
    pub fn copy(&self, from: &BufferSlice, to: &BufferSlice) {
        let mut encoder = self.device().create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("copy") });
        from.encode_copy(&mut encoder, to);
        self.submit([encoder.finish()]);
    }

    /// The values of one slice.
    pub async fn read_one<T: bytemuck::Pod>(&self, label: &str, slice: &BufferSlice) -> Result<Vec<T>, GpuError> {
        let bytes = self.read(label, std::slice::from_ref(slice)).await?.pop().unwrap_or_default();
        Ok(bytemuck::pod_collect_to_vec(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::GpuOptions;

    #[test]
    #[should_panic(expected = "upload of 8 into 4 bytes")]
    fn an_upload_stays_in_its_slice() {
        let gpu = pollster::block_on(Gpu::open(&GpuOptions::default())).expect("an adapter");
        let shard = pollster::block_on(gpu.buffer("shard", 16)).expect("a buffer");
        gpu.upload(&shard.part(4, 4), &[1u32, 2]);
    }

    #[test]
    #[should_panic(expected = "8 bytes from 12 of 16")]
    fn a_part_stays_in_its_slice() {
        let gpu = pollster::block_on(Gpu::open(&GpuOptions::default())).expect("an adapter");
        drop(pollster::block_on(gpu.buffer("shard", 16)).expect("a buffer").part(12, 8));
    }
}
