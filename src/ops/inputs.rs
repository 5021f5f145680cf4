//! What every shape rule asks of inputs before it looks at their shapes: how many there are, and what they hold.

use crate::graph::{DType, TensorType};

/// What an input holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// Floats of 32 or 16 bits.
    Floats,
    /// Unsigned integers.
    Words,
}

/// `inputs` where they are as many as `wanted` and hold what it says, each under its name.
pub(super) fn take<'a, const N: usize>(
    inputs: &[&'a TensorType],
    wanted: [(&str, Holds); N],
) -> Result<[&'a TensorType; N], String> {
    check(inputs, &wanted)?;
    inputs.try_into().map_err(|_| format!("takes {N} tensors, got {}", inputs.len()))
}

/// The same for ops some of whose inputs need not be there.
pub(super) fn check(inputs: &[&TensorType], wanted: &[(&str, Holds)]) -> Result<(), String> {
    if inputs.len() != wanted.len() {
        let names: Vec<&str> = wanted.iter().map(|(name, _)| *name).collect();
        let names = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        return Err(format!("takes {names}; got {} tensors", inputs.len()));
    }
    let wrong =
        |(ty, (_, holds)): &(&&TensorType, &(&str, Holds))| (ty.dtype == DType::U32) != (*holds == Holds::Words);
    match inputs.iter().zip(wanted).find(wrong) {
        Some((ty, (name, Holds::Floats))) => Err(format!("{name} is {ty}, expected floats")),
        Some((ty, (name, Holds::Words))) => Err(format!("{name} is {ty}, expected U32")),
        None => Ok(()),
    }
}
