// Rounding to 16 bits for good: what is too large becomes an infinity, which says that a gradient overflowed, and a NaN
// stays one. Interfaces leave to the adapter what a bare conversion makes of such numbers, and Direct3D makes the largest
// finite one of them. `shaders::half_stored` adds this to kernels that store in 16 bits.

// From here on numbers are nearer to 2^16 than to 65504, the largest of 16 bits.
const HALF_OVERFLOW: f32 = 65520.0;
// Takes every such number beyond those of 32 bits. No literal of WGSL stands for an infinity itself.
const TO_INFINITY: f32 = 3.0e38;

fn to_halves(v: vec4f) -> vec4<f16> {
    return vec4<f16>(select(v, v * TO_INFINITY, abs(v) >= vec4f(HALF_OVERFLOW)));
}
