//! Errors of building a model.

use crate::graph::GraphError;

/// What can be wrong with a model.
#[derive(Debug, thiserror::Error)]
pub enum MaeError {
    /// A field of the configuration.
    #[error("model: {field} = {value}: {expected}")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What was expected.
        expected: String,
    },
    /// No preset of that name.
    #[error("no model is called \"{name}\"; expected one of {known}, or a recipe file ending in .toml")]
    UnknownPreset {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The engine's own errors.
    #[error(transparent)]
    Graph(#[from] GraphError),
}
