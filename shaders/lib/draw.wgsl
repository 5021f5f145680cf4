// Random choices in integer arithmetic: roots, powers and fused multiply-adds of floats differ between adapters, and
// a rounding that falls the other way would be another crop. Everything here gives the same bits everywhere.

import package::lib::random::pcg3d;

// Fractions are in units of 2^-14.
const ONE: u32 = 16384u;

// Random bits for number `index` of one purpose, at counter (seed, step, stream).
fn draw(counter: vec3u, purpose: u32, index: u32) -> vec3u {
    return pcg3d(pcg3d(counter) ^ vec3u(index, purpose, 0u));
}

// Uniform in 0 .. n - 1, for n up to 2^16: the high word of bits n.
fn below(bits: u32, n: u32) -> u32 {
    return ((bits >> 16u) * n + (((bits & 0xffffu) * n) >> 16u)) >> 16u;
}

// a f for a fraction f up to 4.
fn times(a: u32, f: u32) -> u32 {
    return (a >> 14u) * f + (((a & 0x3fffu) * f) >> 14u);
}

// Coefficients of a cubic for 2^f, f from 0 to 1, in units of 2^-16: 1 + 0.6955 f + 0.2262 f² + 0.0781 f³.
const CUBIC: vec4u = vec4u(65536u, 45584u, 14823u, 5121u);

// 2^(e / 2^13 - 4) as a fraction, for powers from 1/4 to 4, so that e is from 2^14 to 6 · 2^13; to 2e-4.
fn power(e: u32) -> u32 {
    let f = (e & 0x1fffu) << 3u;
    var p = CUBIC.z + ((CUBIC.w * f) >> 16u);
    p = CUBIC.y + ((p * f) >> 16u);
    p = CUBIC.x + ((p * f) >> 16u);
    return p >> (6u - (e >> 13u));
}

// Square root, rounded down.
fn root(n: u32) -> u32 {
    // The float is off by one at most.
    var s = min(u32(sqrt(f32(n))), 65534u);
    if (s * s > n) {
        s -= 1u;
    }
    if ((s + 1u) * (s + 1u) <= n) {
        s += 1u;
    }
    return s;
}

// Width and height, each rounded to the nearest integer, of a rectangle of a quarter of `area4` (below 2^30) whose
// width / height is power(e).
fn rectangle(area4: u32, e: u32) -> vec2u {
    // round(sqrt(a)) = floor((sqrt(4 a) + 1) / 2)
    return vec2u(root(times(area4, power(e))) + 1u, root(times(area4, power(65536u - e))) + 1u) / 2u;
}
