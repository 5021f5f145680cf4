//! Static graphs of tensor ops, their gradients, and plans that run them. Knows no op by name.

mod error;
mod fuse;
mod gradient;
mod launch;
mod layout;
mod memory;
mod op;
mod plan;
mod shards;
mod tensor;

pub use error::GraphError;
pub use gradient::Calculus;
pub(crate) use launch::spread;
pub use launch::{Arg, Call, Caps, Launcher};
pub use layout::Layout;
pub use op::{Absorption, Node, Op};
pub use plan::{Externals, Plan};
pub use shards::{SHARD_ALIGN, ShardLayout, ShardPlace, Shards};
pub use tensor::{Choices, DType, Graph, TensorType, Var};
