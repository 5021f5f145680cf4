//! The device: adapter choice, limits, pipelines, buffers, uploads and readback.
