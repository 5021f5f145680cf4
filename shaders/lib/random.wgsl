// Counter-based random numbers: PCG-3D (Jarzynski and Olano 2020, "Hash Functions for GPU Rendering").
//
// A number depends on its counter alone, so the same seed gives the same bits on any adapter, in any order.

fn pcg3d(counter: vec3u) -> vec3u {
    var v = counter * 1664525u + 1013904223u;
    v.x += v.y * v.z;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v ^= v >> vec3u(16u);
    v.x += v.y * v.z;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    return v;
}

// Of numbers of 24 bits, 2^-24.
const STEP: f32 = 5.9604645e-8;

// Uniform in [0, 1), 24 bits.
fn unit(bits: u32) -> f32 {
    return f32(bits >> 8u) * STEP;
}
