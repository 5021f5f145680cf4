// Exact GELU, x Φ(x), and its slope Φ(x) + x φ(x).
//
// erf follows Abramowitz and Stegun 7.1.26 (absolute error 5e-7 in f32); its exp(-x²/2) is shared with φ.

const INV_SQRT_2: f32 = 0.70710678;
const INV_SQRT_2PI: f32 = 0.39894228;

// Φ(x) in .x, φ(x) in .y.
fn normal(x: f32) -> vec2f {
    let z = abs(x) * INV_SQRT_2;
    let t = 1.0 / (1.0 + 0.3275911 * z);
    let e = exp(-z * z);
    let poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    // Φ(-|x|), free of cancellation in the tail.
    let tail = 0.5 * poly * e;
    return vec2f(select(tail, 1.0 - tail, x >= 0.0), e * INV_SQRT_2PI);
}

fn gelu(x: f32) -> f32 {
    return x * normal(x).x;
}

fn gelu_slope(x: f32) -> f32 {
    let n = normal(x);
    return n.x + x * n.y;
}

// Both, in this order.
fn gelu_and_slope(x: f32) -> vec2f {
    let n = normal(x);
    return vec2f(x * n.x, n.x + x * n.y);
}
