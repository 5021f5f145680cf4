// What attention's running maximum of logits begins with.

// Below any logit, and exp(LOWEST - logit) is zero without overflow on the way. That of `log_sum` is lower still: it meets
// rows of any numbers, and subtracts the maximum first.
const LOWEST: f32 = -1.0e30;
