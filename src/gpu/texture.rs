//! Pictures for the screen: buffers of packed pixels copied into textures, without leaving the device.

use std::ops::Deref;
use std::sync::Arc;

use super::{BufferSlice, Gpu};

/// A texture whose memory is given back once nobody holds it any more, for the reason that
/// [`OwnedBuffer`](super::OwnedBuffer) tells.
#[derive(Debug)]
pub struct OwnedTexture(wgpu::Texture);

impl Deref for OwnedTexture {
    type Target = wgpu::Texture;

    fn deref(&self) -> &wgpu::Texture {
        &self.0
    }
}

impl Drop for OwnedTexture {
    fn drop(&mut self) {
        self.0.destroy();
    }
}

impl Gpu {
    /// A texture of `width` by `height` pixels of four 8 bit channels, to be filled by [`Gpu::paint`] and sampled.
    pub fn texture(&self, label: &str, width: u32, height: u32) -> Arc<OwnedTexture> {
        Arc::new(OwnedTexture(self.device().create_texture(&wgpu::TextureDescriptor {
            label: Some(label),
            size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba8Unorm,
            usage: wgpu::TextureUsages::TEXTURE_BINDING
                | wgpu::TextureUsages::COPY_DST
                | wgpu::TextureUsages::COPY_SRC
                | wgpu::TextureUsages::RENDER_ATTACHMENT,
            view_formats: &[],
        })))
    }

    /// Copies `pixels`, rows of u32 with red in the low byte, into all of `texture`.
    ///
    /// # Panics
    /// Where `pixels` are too few.
    pub fn paint(&self, pixels: &BufferSlice, texture: &wgpu::Texture) {
        let (width, height) = (texture.width(), texture.height());
        let pitch = width * 4;
        assert!(u64::from(pitch) * u64::from(height) <= pixels.bytes, "{} bytes for {width} x {height}", pixels.bytes);
        let mut encoder =
            self.device().create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("paint") });
        // Rows that are no multiple of the copy alignment go one by one, where no pitch is needed.
        let whole = pitch.is_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
        let rows = if whole { height } else { 1 };
        for y in (0..height).step_by(rows as usize) {
            encoder.copy_buffer_to_texture(
                wgpu::TexelCopyBufferInfo {
                    buffer: &pixels.buffer,
                    layout: wgpu::TexelCopyBufferLayout {
                        offset: pixels.offset + u64::from(y * pitch),
                        bytes_per_row: whole.then_some(pitch),
                        rows_per_image: None,
                    },
                },
                wgpu::TexelCopyTextureInfo {
                    texture,
                    mip_level: 0,
                    origin: wgpu::Origin3d { x: 0, y, z: 0 },
                    aspect: wgpu::TextureAspect::All,
                },
                wgpu::Extent3d { width, height: rows, depth_or_array_layers: 1 },
            );
        }
        self.submit([encoder.finish()]);
    }
}
