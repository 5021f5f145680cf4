//! The cases of the self-test.

mod attention;
mod elementwise;
mod optimiser;
mod peaks;
mod pictures;
mod products;
mod random_choices;
mod rows;

pub(super) use optimiser::optimiser;
pub(super) use peaks::peaks;

use super::case::Case;
use crate::graph::{Caps, GraphError};

/// Every case that is a graph, for an adapter with `caps`.
pub(super) fn all(caps: Caps) -> Result<Vec<Case>, GraphError> {
    let mut cases = elementwise::cases(caps)?;
    cases.extend(products::cases(caps)?);
    cases.extend(attention::cases(caps)?);
    cases.extend(rows::cases()?);
    cases.extend(pictures::cases()?);
    cases.extend(random_choices::cases()?);
    Ok(cases)
}
