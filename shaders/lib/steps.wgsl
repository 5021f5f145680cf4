// The small buffers through which kernels of an optimiser's step speak to each other and to src/ops/adamw.rs and
// src/ops/global_norm.rs, four numbers each.

// What a step of AdamW is taken by: rate, 1 - beta1^t and 1 - beta2^t, and what the average so far weighs.
struct Schedule {
    rate: f32,
    first_correction: f32,
    second_correction: f32,
    past: f32,
}

// The norm of all gradients, the factor that clips them, 1 if all are finite, and the scale of the loss or 1.
struct Norm {
    length: f32,
    clip: f32,
    finite: f32,
    scale: f32,
}

// The gradient of one micro-batch's loss, steps since that last changed, beta1^t and beta2^t.
struct Scaling {
    gradient: f32,
    steps: f32,
    first_power: f32,
    second_power: f32,
}
