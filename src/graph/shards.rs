//! Named tensors side by side in a few large flat shards.

use std::collections::HashMap;

use super::DType;
use crate::gpu::{BufferSlice, Gpu, GpuError};

/// Elements to whose multiples every tensor is aligned: 256 bytes of 16-bit floats, what any adapter can bind.
pub const SHARD_ALIGN: usize = 128;

/// A tensor's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardPlace {
    /// Which shard.
    pub shard: usize,
    /// First element.
    pub offset: usize,
    /// Number of elements.
    pub len: usize,
}

/// Where each of a list of tensors lies: a pure function of their sizes and the largest binding.
#[derive(Clone, Debug, Default)]
pub struct ShardLayout {
    places: Vec<(String, ShardPlace)>,
    index: HashMap<String, usize>,
    lengths: Vec<usize>,
}

impl ShardLayout {
    /// Places tensors `(name, elements)` in order; a new shard starts where one would exceed `max_bytes`.
    ///
    /// # Errors
    /// The name and bytes of a tensor that exceeds `max_bytes` by itself.
    pub fn new<'a>(tensors: impl IntoIterator<Item = (&'a str, usize)>, max_bytes: u64) -> Result<Self, (String, u64)> {
        let mut layout = ShardLayout::default();
        for (name, len) in tensors {
            let padded = len.next_multiple_of(SHARD_ALIGN);
            if padded as u64 * 4 > max_bytes {
                return Err((name.to_owned(), padded as u64 * 4));
            }
            let fits = layout.lengths.last().is_some_and(|used| (used + padded) as u64 * 4 <= max_bytes);
            if !fits {
                layout.lengths.push(0);
            }
            let shard = layout.lengths.len() - 1;
            let place = ShardPlace { shard, offset: layout.lengths[shard], len };
            layout.lengths[shard] += padded;
            layout.index.insert(name.to_owned(), layout.places.len());
            layout.places.push((name.to_owned(), place));
        }
        Ok(layout)
    }

    /// Elements of each shard, padding included.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Bytes of all shards.
    pub fn bytes(&self) -> u64 {
        self.lengths.iter().map(|length| *length as u64 * 4).sum()
    }

    /// Tensors in order.
    pub fn places(&self) -> &[(String, ShardPlace)] {
        &self.places
    }

    /// Place of the tensor `name`.
    pub fn place(&self, name: &str) -> Option<ShardPlace> {
        self.index.get(name).map(|index| self.places[*index].1)
    }

    /// A zeroed buffer for each shard, of elements of `dtype`.
    pub async fn allocate(&self, gpu: &Gpu, label: &str, dtype: DType) -> Result<Shards, GpuError> {
        let bytes = |length: &usize| *length as u64 * dtype.bytes();
        let labelled =
            self.lengths.iter().enumerate().map(|(index, length)| (format!("{label} shard {index}"), bytes(length)));
        Ok(Shards { buffers: gpu.buffers(labelled).await?, dtype })
    }
}

/// The buffers of a layout.
#[derive(Clone, Debug)]
pub struct Shards {
    /// One a shard.
    pub buffers: Vec<BufferSlice>,
    dtype: DType,
}

impl Shards {
    /// Memory of the tensor at `place`.
    pub fn slice(&self, place: ShardPlace) -> BufferSlice {
        let [offset, bytes] = [place.offset, place.len].map(|count| count as u64 * self.dtype.bytes());
        self.buffers[place.shard].part(offset, bytes)
    }
}
