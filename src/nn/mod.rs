//! Layers as functions from graph variables to graph variables; parameters with names and initialisers.

mod block;
mod builder;
mod init;
mod param;
mod position;
mod store;

pub use block::{BlockShape, BlockVars, block};
pub use builder::Builder;
pub use init::{Init, Stream};
pub use param::{ParamPart, ParamSpec};
pub use position::sincos_positions;
pub(crate) use store::groups;
pub use store::{ParamStore, State, param_bytes};
