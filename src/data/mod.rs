//! Sources of pictures, decoding, sampling and prefetch. Knows nothing of the GPU.
